"""The repository's own promises: one address, one list, one version."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _repository import (
    MACHINE_PATH,
    ROOT,
    project,
    read_yaml,
    repository_url,
    tracked_files,
)

import dysample_lib
from dysample_lib.cost.allocator import VARIABLES

PROSE_AND_CODE = {".py", ".md", ".yml", ".toml", ".cff", ".bib", ".cfg", ".css", ""}
VENDORED = ROOT / "book" / "_static" / "mathjax"


def texts() -> dict[Path, str]:
    """Every text file that is ours, this folder's own tests apart."""
    ours = [
        path
        for path in tracked_files()
        if path.suffix in PROSE_AND_CODE and VENDORED not in path.parents
    ]
    return {path: path.read_text(encoding="utf-8") for path in ours}


def test_the_address_is_the_same_everywhere():
    url = repository_url()
    owner_and_name = url.removeprefix("https://github.com/")
    name = owner_and_name.split("/")[1]
    assert read_yaml("_config.yml")["repository"]["url"] == url
    assert read_yaml("CITATION.cff")["repository-code"] == url
    assert f"git clone {url}" in (ROOT / "README.md").read_text(encoding="utf-8")
    for path, text in texts().items():
        for found in re.findall(rf"github(?:\.com)?/([\w.-]+/{name})\b", text):
            assert found == owner_and_name, path


def test_the_version_is_the_same_everywhere():
    version = project()["project"]["version"]
    assert dysample_lib.__version__ == version
    assert read_yaml("CITATION.cff")["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_conda_takes_its_packages_from_pyproject():
    asked = read_yaml("environment.yml")["dependencies"]
    plain = [entry for entry in asked if isinstance(entry, str)]
    assert asked[len(plain) :] == [{"pip": ["-e .[dev]"]}]
    python = project()["project"]["requires-python"]
    assert plain == [f"python{python}", "pip"]


def test_the_library_alone_needs_torch_and_nothing_else():
    needed = project()["project"]["dependencies"]
    assert [re.split(r"[<>=~ ]", entry)[0] for entry in needed] == ["torch"]


def test_no_file_names_a_machine_or_leaves_work_undone():
    # With a message it tells a subclass what is missing; without, work is undone.
    undone = re.compile(
        "TO" + r"DO\b|FIX" + r"ME\b|NotImplemented" + r"Error\b(?![(,])"
    )
    exempt = {ROOT / "tests" / "_repository.py", ROOT / ".ci" / "run"}
    for path, text in texts().items():
        if path in exempt:
            continue
        # The shebang is the one place for an absolute path.
        body = re.sub(r"\A#!.*", "", text)
        for pattern in (MACHINE_PATH, undone):
            found = pattern.search(body)
            assert not found, f"{path}: {found and found.group()}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_files_that_are_named_exist(name):
    there = {f"/{p.relative_to(ROOT).as_posix()}" for p in tracked_files()}
    there |= {f"{folder}/" for path in there for folder in map(str, Path(path).parents)}
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?|\w+\.py)`", text)
    assert len(named) > 5
    for path in named:
        is_new = Path(path).stem in ("mine", "NN_name")  # what a contributor adds
        assert is_new or any(p.endswith(f"/{path}") for p in there), path


def test_mathjax_comes_with_its_licence():
    assert "Apache License" in (VENDORED / "LICENSE").read_text(encoding="utf-8")
    assert (VENDORED / "tex-chtml-full.js").stat().st_size > 1_000_000
    assert len(list(VENDORED.rglob("*.woff"))) > 20


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call make in ``folder``, as a user would: without an outer make's variables."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, "MFLAGS": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert targets
    shown = make(ROOT)  # help is the default
    assert shown.returncode == 0, shown.stderr
    listed = re.findall(r"^  (\w+) ", shown.stdout, re.M)
    assert sorted(listed) == sorted(targets.group(1).split())


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, and tools in .venv that only note their calls."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    write_script(tmp_path / ".venv" / "bin" / "python", 'echo "$*" >> calls.txt\n')
    note = 'echo "$(basename "$0") $*" >> calls.txt\n'
    write_script(tmp_path / ".venv" / "bin" / "lint-imports", note)
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls.txt").read_text(encoding="utf-8").splitlines()


def test_a_second_call_installs_nothing(checkout):
    for target in ("setup", "setup", "html"):
        assert make(checkout, target).returncode == 0
    installed = [call for call in calls(checkout) if "pip install" in call]
    assert len(installed) == 1 and installed[0].endswith("-e .[dev]")

    later = (checkout / ".venv" / ".dev-installed").stat().st_mtime + 10
    os.utime(checkout / "pyproject.toml", (later, later))
    make(checkout, "html")
    assert calls(checkout)[-2].endswith("-e .[book]"), "a new list is installed"


def test_make_book_runs_copies_and_builds_the_site_from_them(checkout):
    assert make(checkout, "book").returncode == 0
    assert calls(checkout)[1:] == [
        "book/scripts/execute.py --copy-to _build/book-src --at-once 2",
        "_build/book-src/book/scripts/fragments.py",
        "book/scripts/build.py --source _build/book-src",
    ]


def test_make_lab_opens_the_chapters_with_the_environment_s_kernel(checkout):
    spy = 'echo "$JUPYTER_PREFER_ENV_PATH ${DYSAMPLE_BUDGET-unset} $*" >> calls.txt\n'
    write_script(checkout / ".venv" / "bin" / "python", spy)
    assert make(checkout, "lab").returncode == 0
    assert calls(checkout)[-1] == "1 unset -m jupyterlab notebooks"
    assert any(call.endswith("-e .[book]") for call in calls(checkout))


def test_make_test_runs_everything_and_a_failure_ends_it(checkout):
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks" / "00.ipynb").write_text(json.dumps({}), encoding="utf-8")
    assert make(checkout, "test").returncode == 0
    assert calls(checkout)[1:] == [
        "-m ruff check .",
        "-m ruff format --check .",
        "-m mypy",
        "lint-imports --no-logo",
        "-m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests",
        "-m pytest --numprocesses 2 --dist loadfile --nbval notebooks",
    ]
    make(checkout, "test", "WORKERS=1")
    assert calls(checkout)[-2:] == [
        "-m pytest --no-loadscope-reorder tests",
        "-m pytest --nbval notebooks",
    ]
    old = checkout / "_build" / "runs" / "old.pt"
    write_script(old, "")
    spy = 'echo "$DYSAMPLE_RUNS $DYSAMPLE_BUDGET" >> calls.txt\n'
    write_script(checkout / ".venv" / "bin" / "python", spy)
    assert make(checkout, "test").returncode == 0
    assert calls(checkout)[-1] == f"{old.parent} quick"
    assert not old.exists(), "every call trains its own"
    write_script(checkout / ".venv" / "bin" / "python", "exit 1\n")
    assert make(checkout, "test").returncode != 0


def test_files_with_slow_tests_go_first():
    order = ["test_devices.py", "test_output_size.py"]  # the second has slow ones
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet"]
    command += [f"tests/ops/{file}" for file in order]
    options = {"cwd": ROOT, "capture_output": True, "text": True}
    shown = subprocess.run(command, check=True, **options).stdout
    places = [shown.index(file) for file in order]
    assert places == sorted(places, reverse=True)


def test_what_trains_keeps_the_memory_that_it_frees(checkout, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks" / "00.ipynb").write_text(json.dumps({}), encoding="utf-8")
    noted = " ".join(f"${name}" for name in VARIABLES)
    spy = f'echo "{noted} $*" >> calls.txt\n'
    write_script(checkout / ".venv" / "bin" / "python", spy)
    for target in ("book", "notebooks", "lab", "front", "viewer", "test"):
        assert make(checkout, target).returncode == 0
    kept = " ".join(VARIABLES.values())
    asked = [call.removeprefix(f"{kept} ") for call in calls(checkout) if kept in call]
    assert asked == [
        "book/scripts/execute.py --copy-to _build/book-src --at-once 2",
        "book/scripts/execute.py",
        "-m jupyterlab notebooks",
        "book/scripts/front_page.py",
        "book/scripts/viewer_data.py",
        "-m pytest --numprocesses 2 --dist loadfile --nbval notebooks",
    ]


def test_an_old_or_missing_python_is_named(checkout):
    shutil.rmtree(checkout / ".venv")
    write_script(checkout / "old", '[ "$1" = -c ] && exit 1; echo Python 3.8.1\n')
    old = make(checkout, "setup", "PYTHON=./old")
    assert old.returncode != 0
    assert "Python 3.10 or newer is needed, './old' is Python 3.8.1" in old.stderr
    missing = make(checkout, "setup", "PYTHON=python9")
    assert missing.returncode != 0
    assert "No 'python9' here" in missing.stderr
    assert not (checkout / ".venv").exists()


def test_every_package_and_the_recorded_runs_are_shipped():
    setup = project()["tool"]["setuptools"]
    folders = {p.parent for p in (ROOT / "dysample_lib").rglob("__init__.py")}
    names = {".".join(p.relative_to(ROOT).parts) for p in folders}
    assert set(setup["packages"]) == names | {"dysample_lib.recorded"}
    assert setup["package-dir"] == {"dysample_lib.recorded": "results"}
    assert list((ROOT / "results").glob("*.jsonl"))
