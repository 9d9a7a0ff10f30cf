"""`make hosted`, in parts: what its host hides, and that the setup cell installs."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import hosted
import nbformat
import pytest
from _repository import (
    ROOT,
    SCRIPTS,
    SETUP_CELL,
    chapter_names,
    code_cells,
    notebook_paths,
    project,
    repository_url,
    source,
)
from nbformat.v4 import new_code_cell, new_notebook

# What the setup cell would download: here it is brought as well.
DOWNLOADED = {
    re.split(r"[<>=]", need)[0]
    for need in project()["project"]["optional-dependencies"]["notebooks"]
} - set(hosted.BROUGHT)
# The one that trains nothing. What the others import is asked for without running them.
ALWAYS = "09_scorecard"
# What a chapter says it goes without.
OPTIONAL = {"onnxruntime", "segmentation_models_pytorch"}


def write(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(text) for text in (SETUP_CELL, *sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def imported() -> set[str]:
    """The packages that code cells of the chapters import."""
    cells = [source(cell) for path in notebook_paths() for cell in code_cells(path)]
    # A magic is no Python.
    code = re.sub(r"^(\s*)[%!].*", r"\1pass", "\n".join(cells), flags=re.M)
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return hosted.build_wheel(tmp_path_factory.mktemp("wheel"), "--no-build-isolation")


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """What a host brings, and what the setup cell would download."""
    folder = tmp_path_factory.mktemp("host") / "brought"
    hosted.mirror(hosted.with_needs([*hosted.BROUGHT, *DOWNLOADED]), folder)
    return folder


@pytest.fixture
def no_downloads(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # it must not get through


@pytest.mark.slow
def test_a_host_has_what_it_brings_and_nothing_else(tmp_path):
    packages = hosted.with_needs(hosted.BROUGHT)
    assert {"torch", "ipython", "pillow"} <= {package.name for package in packages}
    hosted.mirror(packages, tmp_path / "brought")
    python = hosted.environment(tmp_path / "env", tmp_path / "brought")
    absent = ["dysample_lib", "torchmetrics", "mpl_toolkits.basemap_data", "sphinx"]
    present = ["torch", "pandas", "mpl_toolkits.mplot3d", "IPython", "nbclient"]
    script = f"""
import importlib.util
for names, there in (({absent}, False), ({present}, True)):
    for name in names:
        assert (importlib.util.find_spec(name) is not None) == there, name
import torch
print(torch.__file__, torch.ones(3).sum().item())
"""
    done = subprocess.run(
        [*python, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/brought/torch/__init__.py 3.0\n"
    # In this environment they are there, or their absence would mean nothing.
    assert all(map(importlib.util.find_spec, absent + present))


@pytest.mark.slow
def test_the_setup_cell_installs_the_library_and_a_failure_is_told(
    wheel, brought, tmp_path, no_downloads, capfd
):
    packages = imported() - OPTIONAL
    assert {"torchvision", "scipy", "dysample_lib"} < packages
    good = write(
        tmp_path / "00_good.ipynb",
        f"packages = {sorted(packages)}",
        "from importlib.util import find_spec",
        "assert [name for name in packages if find_spec(name) is None] == []",
        "import dysample_lib, sys\nfrom pathlib import Path",
        "assert Path(dysample_lib.__file__).is_relative_to(sys.prefix)",
        "assert Path.cwd() == Path(sys.prefix).parent",
        "from dysample_lib.study.records import recorded_runs",
        "recorded_runs('probe')[0]",
    )
    bad = write(tmp_path / "01_bad.ipynb", "1 / 0  # the culprit")
    folder = tmp_path / "host"
    folder.mkdir()

    def host() -> list[str]:
        return hosted.environment(folder / "env", brought)

    assert hosted.run_chapters([good, bad], wheel, folder, host) == ["01_bad"]
    told = capfd.readouterr().out
    assert told.startswith("00_good: ") and "\n01_bad: failed after " in told
    assert "1 / 0  # the culprit" in told and "ZeroDivisionError" in told
    done = nbformat.read(folder / "00_good.ipynb", as_version=4)
    assert [cell.execution_count for cell in done.cells] == list(range(1, 10))


@pytest.mark.slow
@pytest.mark.parametrize("name", chapter_names())
def test_a_chapter_runs_as_a_hosted_notebook_does(
    wheel, brought, request, tmp_path, no_downloads, monkeypatch, capfd, name
):
    if name != ALWAYS and not request.config.getoption("--hosted"):
        pytest.skip("`make hosted` runs the other chapters; so does pytest --hosted")
    monkeypatch.setenv("DYSAMPLE_BUDGET", "quick")

    def host() -> list[str]:
        return hosted.environment(tmp_path / "env", brought)

    chapter = ROOT / "notebooks" / f"{name}.ipynb"
    failed = hosted.run_chapters([chapter], wheel, tmp_path, host)
    assert not failed, capfd.readouterr().out
    done = nbformat.read(tmp_path / chapter.name, as_version=4)
    counts = [cell.execution_count for cell in done.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_the_library_asks_for_what_the_setup_cell_downloads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    asked = re.findall(r"^Requires-Dist: ([\w-]+).*extra == .notebooks.", text, re.M)
    assert {*DOWNLOADED, "torchvision", "matplotlib", "pandas"} <= set(asked)


def test_only_the_address_of_the_library_is_replaced(tmp_path):
    wheel = tmp_path / "dysample_lib-9-py3-none-any.whl"
    for name in chapter_names():
        chapter = ROOT / "notebooks" / f"{name}.ipynb"
        copy = json.loads(hosted.copy_chapter(chapter, wheel, tmp_path).read_text())
        was = json.loads(chapter.read_text(encoding="utf-8"))
        first = next(c for c in copy["cells"] if c["cell_type"] == "code")
        text = source(first)
        assert f"dysample-lib[notebooks] @ {wheel.as_uri()}" in text
        back = text.replace(wheel.as_uri(), f"git+{repository_url()}")
        first["source"] = back.splitlines(keepends=True)
        assert copy == was


def test_a_chapter_without_the_address_is_refused(tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), path)
    with pytest.raises(ValueError, match=r"a\.ipynb has to install .* got 0"):
        hosted.copy_chapter(path, tmp_path / "x.whl", tmp_path)


def test_a_container_sees_the_folder_and_no_repository(tmp_path):
    command = hosted.container("some/image", tmp_path)
    assert command[:2] == ["docker", "run"] and command[-1] == "some/image"
    assert f"{tmp_path}:{tmp_path}" in command
    assert str(ROOT) not in " ".join(command).replace(str(tmp_path), "")
    # Nothing but the standard library: the environment that calls docker is empty.
    script = "import sys; sys.path[:0] = sys.argv[1:]; import hosted"
    command = [sys.executable, "-I", "-S", "-c", script, str(SCRIPTS)]
    subprocess.run(command, check=True)
