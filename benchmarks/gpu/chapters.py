"""Run chapters at the full budget, all at once, and note what each took.

    python -m benchmarks.gpu.chapters OUT [--chapters 00 01 …]

The copies that are run go to OUT/chapters, minutes to OUT/results/runtimes_cuda.json.
A chapter whose time is noted is not run again, and one that fails holds up no other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "book" / "scripts"
CHAPTERS = ("00", "01", "02", "03", "04", "05", "06", "10")
"""Those that train; one that is not written yet is left out."""


def copy(source: Path, folder: Path, cells: int | None) -> Path:
    """A copy to execute, of all or of its first code cells."""
    notebook = nbformat.read(source, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if cells is not None:
        notebook.cells = code[:cells]
    target = folder / source.name
    nbformat.write(notebook, target)
    return target


def timed(path: Path, threads: int) -> float:
    """Execute a chapter in place; the seconds that it took."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, SCRIPTS / "execute.py", path],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)},
        check=True,
    )
    return time.perf_counter() - started


def main() -> int:
    """Run what is left; 1 if a chapter failed."""
    sys.path.insert(0, str(SCRIPTS))
    from execute import keep_times, shared_threads

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--chapters", nargs="+", default=CHAPTERS, metavar="NN")
    parser.add_argument("--cells", type=int, help="of each the first code cells alone")
    options = parser.parse_args()
    os.environ["DYSAMPLE_BUDGET"] = "full"
    folder, noted = options.out / "chapters", options.out / "results/runtimes_cuda.json"
    for place in (folder, noted.parent):
        place.mkdir(parents=True, exist_ok=True)
    taken = json.loads(noted.read_text("utf-8"))["seconds"] if noted.exists() else {}
    found = [p for n in options.chapters for p in ROOT.glob(f"notebooks/{n}_*.ipynb")]
    left = [path for path in found if path.stem not in taken]
    at_once = max(1, len(left))
    threads = shared_threads(at_once)
    failed = []
    with ThreadPoolExecutor(at_once) as pool:
        running = {
            pool.submit(timed, copy(path, folder, options.cells), threads): path.stem
            for path in left
        }
        for future in as_completed(running):
            if future.exception():
                failed.append(running[future])
                continue
            taken[running[future]] = future.result()
            keep_times(dict(sorted(taken.items())), noted, len(found))
    print(f"{len(taken)} of {len(found)} chapters done; failed: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
