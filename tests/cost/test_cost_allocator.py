"""Time without page faults: what is freed stays with the process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest
import torch

from dysample_lib.__main__ import main
from dysample_lib.cost import keep_memory
from dysample_lib.cost.allocator import VARIABLES, allocator

# Memory of 32 MB, which glibc would map anew at each call, and what faults it takes.
# Told to keep memory, the process says so and starts another, which is asked the same.
SCRIPT = """
import json, os, resource, subprocess, sys, torch
from dysample_lib.cost import cost, keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def say():
    taken = min(faults() for turn in range(7))
    name = cost("nearest", 4, 3, 3, repeats=7, device="cpu").allocator
    print(json.dumps([name, taken]), flush=True)

say()
if sys.argv[1:]:
    keep_memory()
    say()
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the allocator here is not glibc's"
)
def test_kept_memory_takes_no_page_faults_here_and_below_and_is_named():
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k not in VARIABLES},
    )
    before, after, below = map(json.loads, done.stdout.splitlines())
    assert [before[0], after[0], below[0]] == ["default", *["keeps memory"] * 2]
    assert max(after[1], below[1]) < min(100, before[1] / 2), done.stdout


@pytest.mark.parametrize("command", ["train --epochs 0", "sweep --output _ --dry-run"])
def test_the_shell_asks_for_it_before_it_trains(monkeypatch, command):
    class Asked(Exception):
        pass

    def ask():
        raise Asked

    monkeypatch.setattr("dysample_lib.cost.keep_memory", ask)
    with pytest.raises(Asked):
        main(command.split())


def test_without_glibc_nothing_is_asked(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert keep_memory() is False and allocator() == "default"
    assert torch.ones(1).item() == 1
