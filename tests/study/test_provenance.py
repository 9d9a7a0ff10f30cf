"""Where a number comes from: this checkout's commit, or unknown; never an error."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from dysample_lib import __version__
from dysample_lib.study import provenance

commit = provenance.commit.__wrapped__
code_digest = provenance.code_digest.__wrapped__


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    command = ["git", *who, "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "m")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A checkout of the library, in small."""
    root = tmp_path / "book"
    (root / "dysample_lib" / "ops").mkdir(parents=True)
    (root / "results").mkdir()
    (root / "dysample_lib" / "ops" / "sampling.py").write_text("HALF = 0.5\n")
    (root / "results" / "runs.jsonl").write_text("{}\n")
    (root / "pyproject.toml").write_text('[project]\nname = "dysample-lib"\n')
    return root


def test_the_commit_is_of_the_checkout_and_clean(book: Path) -> None:
    head = commit_all(book)
    assert commit(book / "dysample_lib") == head[:12]


def test_what_a_sweep_writes_does_not_make_it_dirty(book: Path) -> None:
    head = commit_all(book)
    (book / "results" / "runs.jsonl").write_text("{}\n{}\n")
    (book / "results" / "new.jsonl").touch()
    (book / "results" / "new.unfinished").mkdir()
    assert commit(book / "dysample_lib") == head[:12]


@pytest.mark.parametrize("name", ["sampling.py", "new.py"])
def test_a_change_of_the_library_does(book: Path, name: str) -> None:
    head = commit_all(book)
    (book / "dysample_lib" / "ops" / name).write_text("HALF = 0.4\n")
    assert commit(book / "dysample_lib") == f"{head[:12]}-dirty"


def test_without_git_it_is_unknown(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_all(book)
    monkeypatch.setenv("PATH", "")
    assert commit(book / "dysample_lib") == "unknown"


def test_without_a_commit_or_a_checkout_it_is_unknown(book: Path) -> None:
    assert commit(book / "dysample_lib") == "unknown"
    git(book, "init", "--quiet")
    assert commit(book / "dysample_lib") == "unknown"


@pytest.mark.parametrize("place", [".venv/lib/python3.12/site-packages", ".", "vendor"])
def test_inside_somebody_elses_repository_it_is_unknown(
    tmp_path: Path, place: str
) -> None:
    theirs = tmp_path / "theirs"
    package = theirs / place / "dysample_lib"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (theirs / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    commit_all(theirs)
    assert commit(package) == "unknown"


def test_a_worktree_is_a_checkout_as_well(book: Path, tmp_path: Path) -> None:
    head = commit_all(book)
    other = tmp_path / "other"
    git(book, "worktree", "add", "--quiet", str(other))
    (book / "dysample_lib" / "ops" / "sampling.py").write_text("HALF = 0.4\n")
    assert commit(other / "dysample_lib") == head[:12]


def test_a_hook_of_another_repository_does_not_mislead(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit_all(book)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    assert commit_all(theirs) != head
    monkeypatch.setenv("GIT_DIR", str(theirs / ".git"))
    assert commit(book / "dysample_lib") == head[:12]


@pytest.mark.parametrize(
    "source",
    [
        "HALF = 0.5  # of a pixel\n",
        '"""What samples."""\n\n\nHALF = 0.5\n"""Of a pixel."""\n',
        "# Nothing.\nHALF = 0.5\n\n",
    ],
)
def test_comments_and_docstrings_are_no_code(book: Path, source: str) -> None:
    package = book / "dysample_lib"
    before = code_digest(package)
    (package / "ops" / "sampling.py").write_text(source)
    assert code_digest(package) == before


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ops/sampling.py", "HALF = 0.25\n"),
        ("ops/sampling.py", "HALF = 0.5\nif HALF:\n    HALF = 1\n"),
        ("ops/sampling.py", "TEXT = '# no comment'\nHALF = 0.5\n"),
        ("train/fit.py", "RATE = 0.1\n"),
    ],
)
def test_what_decides_numbers_is(book: Path, name: str, source: str) -> None:
    package = book / "dysample_lib"
    before = code_digest(package)
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_text(source)
    assert code_digest(package) != before


def test_what_decides_no_number_is_left_out(book: Path) -> None:
    package = book / "dysample_lib"
    before = code_digest(package)
    (package / "figures").mkdir()
    (package / "figures" / "style.py").write_text("GREEN = 1\n")
    assert code_digest(package) == before


def test_every_room_either_decides_numbers_or_does_not() -> None:
    """A new room has to be sorted in."""
    rooms = {path.parent.name for path in provenance.PACKAGE.glob("*/__init__.py")}
    apart = {"adapt", "study", "cost", "figures"}
    assert rooms == {*provenance.DECIDING, *apart}


def test_the_environment_is_plain_and_never_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    provenance.commit.cache_clear()
    try:
        found = provenance.environment("cpu")
    finally:
        provenance.commit.cache_clear()
    assert found == {
        "version": __version__,
        "commit": "unknown",
        "code": provenance.code_digest(),
        "torch": str(torch.__version__),
        "device_name": provenance.device_name("cpu"),
        "threads": torch.get_num_threads(),
    }
    assert all(type(value) in (str, int) for value in found.values())
