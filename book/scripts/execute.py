"""Execute the notebooks with the interpreter that runs this.

    python book/scripts/execute.py                   in place, ready to commit
    python book/scripts/execute.py --copy-to FOLDER  on copies, the checkout unchanged

One line a notebook with its time; a complete run keeps them in results/runtimes.json,
beside the notebooks' folder. After a cell that fails no other notebook is begun: the
cell and its error are shown and the exit code is 1. A notebook in place is only
replaced once all of its cells have run. With --at-once 2 two of them share the cores,
which takes less time than one after the other; those that time something are run alone,
at the end. A run that several of them ask for is trained once: they share the folder
that DYSAMPLE_RUNS names, or one that goes at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
# What the site is built from, beside the notebooks: copied as it is.
SITE_SOURCES = ("_config.yml", "book", "results", "CHANGELOG.md", "CITATION.cff")
TIMED = ("06_rivals_and_cost", "07_in_your_model")
"""The chapters whose numbers are times, which company would change."""
ANSI = re.compile(r"\x1b\[[0-9;]*m")
INTERACTIVE = sys.stdout.isatty() and not os.environ.get("CI")


class ThisInterpreter(AsyncKernelManager):
    """Whatever kernel specs the machine has: the kernel is this very Python."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # Below errors, the kernel only speaks of how it is connected.
        arguments = get_kernel_dict(extra_arguments=["--log-level=ERROR"])
        return KernelSpec(resource_dir=RESOURCES, **arguments)


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Drop what differs between machines and runs, so that diffs show the rest."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [from_root(line) for line in output.traceback]


def from_root(text: str) -> str:
    """Name files of the repository as seen from its root, not from the machine's."""
    text = text.replace(f"{ROOT}{os.sep}", "")
    if ROOT.is_relative_to(Path.home()):
        text = text.replace(f"~/{ROOT.relative_to(Path.home())}/", "")
    return text


def execute(path: Path, cell_timeout: int, label: str) -> None:
    """Execute the notebook at ``path`` and write it back; raise if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    count = sum(cell.cell_type == "code" for cell in notebook.cells)
    started = time.perf_counter()
    done = 0

    def show_progress(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal done
        done += cell.cell_type == "code"
        seconds = time.perf_counter() - started
        print(f"\r{label}  cell {done}/{count}  {seconds:4.0f} s", end="", flush=True)

    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=cell_timeout,
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=show_progress if INTERACTIVE else None,
    )
    client.execute(env={**os.environ, "TQDM_DISABLE": "1"})
    normalise(notebook)
    fresh = path.with_suffix(".tmp")
    nbformat.write(notebook, fresh)
    fresh.replace(path)


def one_by_one(paths: list[Path], cell_timeout: int) -> dict[str, float]:
    """Execute one after the other to the first that fails: the seconds of each."""
    width = max(len(path.stem) for path in paths)
    taken: dict[str, float] = {}
    for number, path in enumerate(paths, start=1):
        label = f"[{number}/{len(paths)}] {path.stem:<{width}}"
        if INTERACTIVE:
            print(label, end="", flush=True)
        start = time.perf_counter()
        try:
            execute(path.resolve(), cell_timeout, label)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            seconds = time.perf_counter() - start
            print("\r" * INTERACTIVE + f"{label}  failed after {seconds:.0f} s")
            print(explain(path, error), file=sys.stderr)
            break
        seconds = time.perf_counter() - start
        blank = " " * 24 * INTERACTIVE
        print("\r" * INTERACTIVE + f"{label}  {seconds:6.1f} s{blank}", flush=True)
        taken[path.stem] = seconds
    return taken


def side_by_side(
    paths: list[Path], at_once: int, cell_timeout: int
) -> dict[str, float]:
    """Execute ``at_once`` at a time, in processes of their own that share the cores.

    What runs beside one that fails is run to its end, and no other is begun.
    """
    width = max(len(path.stem) for path in paths)
    taken: dict[str, float] = {}
    failed: list[str] = []

    def one(path: Path, threads: int | None = None) -> None:
        if failed:
            return
        command = [sys.executable, __file__, "--cell-timeout", str(cell_timeout), path]
        shared = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        start = time.perf_counter()
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, env={**os.environ, **shared}
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            failed.append(path.stem)
            said = f"failed after {seconds:.0f} s"
        else:
            taken[path.stem] = seconds
            said = f"{seconds:6.1f} s"
        number = len(taken) + len(failed)
        print(f"[{number}/{len(paths)}] {path.stem:<{width}}  {said}", flush=True)

    # The long ones first, so that none of them is left alone at the end.
    known = earlier_times()
    order = sorted(paths, key=lambda path: -known.get(path.stem, 0))
    with ThreadPoolExecutor(at_once) as pool:
        threads = shared_threads(at_once)
        shared = [path for path in order if path.stem not in TIMED]
        list(pool.map(lambda path: one(path, threads), shared))
    for path in order:
        if path.stem in TIMED:
            one(path)
    return dict(sorted(taken.items()))


def shared_threads(at_once: int) -> int:
    """The threads of each of some chapters that run side by side."""
    from dysample_lib.ops.devices import available_cores

    return max(1, available_cores() // at_once)


def earlier_times() -> dict[str, float]:
    """The seconds that each chapter took when it was last timed."""
    noted = ROOT / "results" / "runtimes.json"
    if not noted.exists():
        return {}
    seconds: dict[str, float] = json.loads(noted.read_text("utf-8"))["seconds"]
    return seconds


def explain(path: Path, error: Exception) -> str:
    """The failing cell and its error, in the words of the notebook."""
    text = str(error).strip()
    if not sys.stdout.isatty():
        text = ANSI.sub("", text)
    return f"{path.name} stopped:\n{text}"


def keep_times(
    seconds: dict[str, float], file: Path, at_once: int = 1, wall: float | None = None
) -> None:
    """Note what each chapter took, and on what, for the page of run times."""
    # Not above: where a chapter's own cell installs the library it is not there yet.
    import torch

    from dysample_lib.ops.devices import default_device, device_name
    from dysample_lib.study.budget import current_budget

    threads = torch.get_num_threads() if at_once == 1 else shared_threads(at_once)
    noted = {
        "budget": current_budget(),
        "device": default_device().type,
        "device_name": device_name(),
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "at_once": at_once,
        "wall": round(sum(seconds.values()) if wall is None else wall, 1),
        "seconds": {chapter: round(took, 1) for chapter, took in seconds.items()},
    }
    file.write_text(json.dumps(noted, indent=2) + "\n", encoding="utf-8")


def copy_sources(target: Path) -> None:
    """Copy what the site needs into the empty or missing folder ``target``."""
    if target.exists() and any(target.iterdir()):
        raise SystemExit(f"--copy-to has to be an empty or missing folder: {target}")
    for name in (*SITE_SOURCES, "notebooks"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
            shutil.copytree(source, target / name, ignore=ignored)
        elif source.exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "notebooks", nargs="*", type=Path, help="default: all of notebooks/"
    )
    parser.add_argument("--copy-to", type=Path, help="execute copies in this folder")
    parser.add_argument(
        "--cell-timeout", type=int, default=3600, help="seconds, for any one cell"
    )
    parser.add_argument(
        "--at-once", type=int, default=1, help="notebooks that run side by side"
    )
    args = parser.parse_args()
    if args.copy_to:
        if args.notebooks:
            parser.error("--copy-to takes all notebooks: name none")
        copy_sources(args.copy_to.resolve())
    folder = (args.copy_to or ROOT).resolve() / "notebooks"
    paths = args.notebooks or sorted(folder.glob("*.ipynb"))
    if not paths:
        print(f"There is no notebook in {folder}", file=sys.stderr)
        return 1

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as runs:
        # What several chapters train, with the same seed, is trained once.
        os.environ["DYSAMPLE_RUNS"] = os.environ.get("DYSAMPLE_RUNS") or runs
        if args.at_once > 1 and len(paths) > 1:
            taken = side_by_side(paths, args.at_once, args.cell_timeout)
        else:
            taken = one_by_one(paths, args.cell_timeout)
    if len(taken) < len(paths):
        return 1
    wall = time.perf_counter() - started
    print(f"{len(paths)} notebooks in {wall:.0f} s")
    if not args.notebooks:
        noted = folder.parent / "results" / "runtimes.json"
        keep_times(taken, noted, args.at_once, wall)
    return 0


if __name__ == "__main__":
    sys.exit(main())
