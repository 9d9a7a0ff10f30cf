"""The chapters are executed by this interpreter, and failures are honest."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from _repository import ROOT, SCRIPTS
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from dysample_lib.ops.devices import available_cores

pytestmark = pytest.mark.slow


def write(path: Path, *sources: str) -> Path:
    cells = [new_markdown_cell("# A chapter"), *map(new_code_cell, sources)]
    elsewhere = {"kernelspec": {"name": "elsewhere", "display_name": "Elsewhere"}}
    notebook = new_notebook(cells=cells, metadata=elsewhere)
    nbformat.write(notebook, path)
    return path


def execute(
    *arguments: Path | str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "execute.py"), *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_runs_on_this_very_interpreter_and_leaves_nothing_of_the_machine(tmp_path):
    # A kernel of the same name that would fail, where Jupyter looks first.
    broken = tmp_path / "kernels" / "python3" / "kernel.json"
    broken.parent.mkdir(parents=True)
    broken.write_text(json.dumps({"argv": ["false"], "display_name": "broken"}))
    path = write(
        tmp_path / "a.ipynb",
        "import sys",
        f"sys.executable == {sys.executable!r}",
        "import os\nos.environ['TQDM_DISABLE']",
    )
    ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]

    done = execute(path, JUPYTER_PATH=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("[1/1] a ")
    notebook = json.loads(path.read_text())
    shown = [c["outputs"] for c in notebook["cells"] if c["cell_type"] == "code"]
    assert shown[0] == []
    assert shown[1][0]["data"]["text/plain"] == ["True"]
    assert shown[2][0]["data"]["text/plain"] == ["'1'"]
    assert [cell["id"] for cell in notebook["cells"]] == ids
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in notebook["metadata"]["language_info"]
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    before = path.read_bytes()
    assert execute(path).returncode == 0
    assert path.read_bytes() == before, "a second run changes nothing"


def test_a_failing_cell_is_shown_and_the_notebook_stays_as_it_was(tmp_path):
    path = write(tmp_path / "a.ipynb", "x = 1", "x / 0  # the culprit", "y = 2")
    before = path.read_bytes()
    done = execute(path)
    assert done.returncode == 1
    assert "failed after" in done.stdout
    assert "x / 0  # the culprit" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]


MEET = """\
import os, pathlib, time
pathlib.Path({mine!r}).touch()
while not pathlib.Path({other!r}).exists(): time.sleep(0.1)
"""
"""Only ends where another notebook runs at the same time."""


def test_two_run_side_by_side_and_share_the_cores(tmp_path):
    threads = "int(os.environ['OMP_NUM_THREADS'])"
    meet = [MEET.format(mine=a, other=b) for a, b in (("a", "b"), ("b", "a"))]
    paths = [
        write(tmp_path / "a.ipynb", meet[0], threads),
        write(tmp_path / "b.ipynb", meet[1], threads),
        write(tmp_path / "06_rivals_and_cost.ipynb", "import os", "len(os.environ)"),
    ]
    done = execute(*paths, "--at-once", "2", OMP_NUM_THREADS="97")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, total = done.stdout.splitlines()
    assert len(lines) == 3 and total.startswith("3 notebooks in ")
    assert lines[2].startswith("[3/3] 06_rivals_and_cost ")  # alone, at the end
    share = max(1, available_cores() // 2)
    for path in paths[:2]:
        *_, last = json.loads(path.read_text())["cells"]
        assert last["outputs"][0]["data"]["text/plain"] == [str(share)]


RUNS = (
    "import os\nos.environ['DYSAMPLE_RUNS'], os.path.isdir(os.environ['DYSAMPLE_RUNS'])"
)


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_all_share_a_folder_of_runs_that_goes_at_the_end(tmp_path, at_once):
    paths = [write(tmp_path / f"{name}.ipynb", RUNS) for name in "ab"]

    def seen(**variables):
        done = execute(*paths, "--at-once", at_once, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        cells = [json.loads(path.read_text())["cells"][-1] for path in paths]
        shown = {"".join(cell["outputs"][0]["data"]["text/plain"]) for cell in cells}
        (one,) = map(ast.literal_eval, shown)
        return one

    folder, was_there = seen(DYSAMPLE_RUNS="")
    assert was_there and not Path(folder).exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    assert seen(DYSAMPLE_RUNS=str(mine)) == (str(mine), True)
    assert mine.exists()


def test_what_runs_beside_a_failure_ends_well_and_nothing_else_begins(tmp_path):
    wait = "import time\ntime.sleep(3)"
    paths = [
        write(tmp_path / "a.ipynb", "1 / 0"),
        write(tmp_path / "b.ipynb", wait, "'to the end'"),
        write(tmp_path / "c.ipynb", "1"),
    ]
    before = paths[2].read_bytes()
    done = execute(*paths, "--at-once", "2")
    assert done.returncode == 1
    assert done.stderr.count(" stopped:\n") == 1 and "a.ipynb stopped:" in done.stderr
    assert "to the end" in json.dumps(json.loads(paths[1].read_text())["cells"][-1])
    assert '"execution_count": 2' in paths[1].read_text()
    assert paths[2].read_bytes() == before


def test_an_error_that_is_meant_names_files_relative_to_the_repository(tmp_path):
    cell = new_code_cell("from dysample_lib import DySample\nDySample(64, groups=3)")
    cell.metadata["tags"] = ["raises-exception"]
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[cell]), path)
    assert execute(path).returncode == 0
    (error,) = json.loads(path.read_text())["cells"][0]["outputs"]
    assert error["ename"] == "ValueError"
    assert str(ROOT) not in "".join(error["traceback"])
    assert "dysample_lib" in "".join(error["traceback"])


@pytest.mark.parametrize(
    "arguments", [["--copy-to", "."], ["--copy-to", "x", "a.ipynb"]]
)
def test_copies_never_land_on_something(tmp_path, arguments):
    write(tmp_path / "a.ipynb", "1")
    script = [sys.executable, str(SCRIPTS / "execute.py"), *arguments]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "--copy-to" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]
