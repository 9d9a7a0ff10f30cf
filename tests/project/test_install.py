"""What an installation without extras gives: the upsamplers, on torch alone."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import dysample_lib
import dysample_lib.upsamplers

EXTRAS = (
    "torchvision",
    "torchmetrics",
    "pandas",
    "matplotlib",
    "tqdm",
    "IPython",
    "mpl_toolkits",
    "scipy",
    "PIL",
)

SCRIPT = """
import socket, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def no_network(*arguments, **options):
    raise OSError("the network was used")

BLOCKED = set(sys.argv[1:])
sys.meta_path.insert(0, Absent())
socket.socket.connect = socket.getaddrinfo = no_network

from dysample_lib import LADDER, DySample, build_upsampler
import torch

for module in [DySample(16)] + [build_upsampler(name, 16) for name in LADDER]:
    x = torch.randn(1, 16, 3, 4, requires_grad=True)
    module(x).square().sum().backward()
    assert x.grad.shape == x.shape
    assert all(p.grad is not None for p in module.parameters())
assert not BLOCKED & set(sys.modules)
print("done")
"""


@pytest.mark.parametrize("absent", [EXTRAS, (*EXTRAS, "numpy")])
def test_torch_alone_is_enough(absent: tuple[str, ...], tmp_path: Path) -> None:
    options = ["-W", "error::UserWarning"]
    if "numpy" in absent:  # torch's own remark, whoever imports it
        options += ["-W", "ignore:Failed to initialize NumPy:UserWarning"]
    result = subprocess.run(
        [sys.executable, *options, "-c", SCRIPT, *absent],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"
    assert "Warning" not in result.stderr


TRAINING = """
import builtins, sys

ABSENT = set(sys.argv[1:])
there = builtins.__import__

def ours_do_without(name, globals=None, *arguments):
    # torchmetrics takes them where they are installed, and does without.
    importer = (globals or {}).get("__name__", "")
    if name.partition(".")[0] in ABSENT and importer.startswith("dysample_lib"):
        raise ModuleNotFoundError(f"{importer} needs {name}")
    return there(name, globals, *arguments)

builtins.__import__ = ours_do_without

import dysample_lib.__main__
from dysample_lib.study import budget, compare, records, run, sweep, verify

try:
    from dysample_lib.study import tables
except ModuleNotFoundError as error:
    print(error)
"""


def test_training_needs_neither_tables_nor_statistics_nor_pictures() -> None:
    result = subprocess.run(
        [sys.executable, "-c", TRAINING, "pandas", "scipy", "matplotlib"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "dysample_lib.study.tables needs pandas\n"


def test_torch_is_the_only_dependency() -> None:
    needed = [Requirement(text) for text in requires("dysample-lib") or []]
    core = [
        need.name
        for need in needed
        if need.marker is None or need.marker.evaluate({"extra": ""})
    ]
    assert core == ["torch"]
    assert len(needed) > 1  # the extras are listed, so the filter has done something


def documented() -> list[str]:
    found = pkgutil.walk_packages(dysample_lib.__path__, "dysample_lib.")
    return [module.name for module in found if "__main__" not in module.name]


def test_the_examples_in_the_documentation_run() -> None:
    attempted = {}
    for name in documented():
        result = doctest.testmod(importlib.import_module(name))
        assert result.failed == 0, name
        attempted[name.rpartition(".")[2]] = result.attempted
    for name in ("sampling", "dysample", "registry", "intervals", "verdicts"):
        assert attempted[name] > 0
