"""`make lint` refuses what breaks the layers, and CONTRIBUTING.md draws them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _repository import ROOT, project

LIBRARY = "dysample_lib"
COMMAND = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the library in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the library and of what it is held to."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / LIBRARY, tmp_path / LIBRARY, ignore=ignored)
    return tmp_path


def test_the_library_keeps_to_its_layers():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("ops/checks.py", "from ..upsamplers import LADDER", "upsamplers"),
        ("metrics/checks.py", "from ..data import base", "data"),
        ("train/fit.py", "def f():\n    from ..figures import style", "figures"),
        ("ops/checks.py", "from . import sampling", "sampling"),
        ("stray.py", "import torch", "stray"),
    ],
)
def test_a_breach_is_found(checkout, file, line, found):
    with (checkout / LIBRARY / file).open("a", encoding="utf-8") as module:
        module.write(f"\n\n{line}\n")
    done = lint(checkout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{LIBRARY}." in done.stdout and found in done.stdout


def test_the_picture_shows_the_layers_from_the_top():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(r"^## The house\n(.*?)^## ", text, re.M | re.S)
    assert section
    rows = [row.split("|")[1] for row in section[1].splitlines() if row[:3] == "| `"]
    drawn = [re.findall(r"`(\w+)/?`", row) for row in rows]
    (layers,) = (
        contract["layers"]
        for contract in project()["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    assert drawn == [layer.split(" | ") for layer in layers]
