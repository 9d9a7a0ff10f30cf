"""Time without page faults: what is freed stays with the process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from dysample_lib.cost import keep_memory

# Memory of 32 MB, which glibc would map anew at each call, and what faults it takes.
SCRIPT = """
import json, resource, torch
from dysample_lib.cost import cost, keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

names, taken = [], []
for change in (lambda: None, keep_memory):
    change()
    faults(), faults()
    taken.append(faults())
    names.append(cost("nearest", 4, 3, 3, repeats=7, device="cpu").allocator)
print(json.dumps([names, taken]))
"""


@pytest.mark.slow
def test_kept_memory_takes_no_page_faults_and_is_named():
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    names, taken = json.loads(done.stdout)
    if names[1] == "default":
        pytest.skip("the allocator here is not glibc's")
    assert names == ["default", "keeps memory"]
    assert taken[1] < 100 and taken[1] < taken[0] / 2, taken


def test_without_glibc_nothing_is_asked(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    monkeypatch.setattr("dysample_lib.cost.allocator._kept", False)
    assert keep_memory() is False
    assert torch.ones(1).item() == 1
