"""Execute the notebooks one after the other, with the interpreter that runs this.

    python book/scripts/execute.py                   in place, ready to commit
    python book/scripts/execute.py --copy-to FOLDER  on copies, the checkout unchanged

One line a notebook with its time; a complete run keeps them in results/runtimes.json,
beside the notebooks' folder. The first cell that fails ends the run: the cell and its
error are shown and the exit code is 1. A notebook in place is only replaced once all of
its cells have run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sys
import time
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


def explain(path: Path, error: Exception) -> str:
    """The failing cell and its error, in the words of the notebook."""
    text = str(error).strip()
    if not sys.stdout.isatty():
        text = ANSI.sub("", text)
    return f"{path.name} stopped:\n{text}"


def keep_times(seconds: dict[str, float], file: Path, at_once: int = 1) -> None:
    """Note what each chapter took, and on what, for the page of run times."""
    import torch

    from dysample_lib.ops.devices import default_device, device_name
    from dysample_lib.study.budget import current_budget

    noted = {
        "budget": current_budget(),
        "device": default_device().type,
        "device_name": device_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "at_once": at_once,
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

    width = max(len(path.stem) for path in paths)
    taken: dict[str, float] = {}
    for number, path in enumerate(paths, start=1):
        label = f"[{number}/{len(paths)}] {path.stem:<{width}}"
        if INTERACTIVE:
            print(label, end="", flush=True)
        start = time.perf_counter()
        try:
            execute(path.resolve(), args.cell_timeout, label)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            seconds = time.perf_counter() - start
            print("\r" * INTERACTIVE + f"{label}  failed after {seconds:.0f} s")
            print(explain(path, error), file=sys.stderr)
            return 1
        seconds = time.perf_counter() - start
        blank = " " * 24 * INTERACTIVE
        print("\r" * INTERACTIVE + f"{label}  {seconds:6.1f} s{blank}", flush=True)
        taken[path.stem] = seconds
    print(f"{len(paths)} notebooks in {sum(taken.values()):.0f} s")
    if not args.notebooks:
        keep_times(taken, folder.parent / "results" / "runtimes.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
