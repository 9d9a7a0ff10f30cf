"""Build the site strictly: a warning is an error. The one place that knows how.

python book/scripts/build.py                             from the committed outputs
python book/scripts/build.py --source _build/book-src    from freshly executed copies
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRICT = ["-W", "--keep-going", "-n", "-q"]


def build(source: Path, output: Path, builder: str = "html") -> int:
    """Build the book of ``source`` into ``output/BUILDER``; return the exit code.

    ``builder`` is ``"html"``, or ``"singlehtml"`` for all of it on one page.
    """
    for stale in (builder, ".doctrees", "jupyter_execute"):
        shutil.rmtree(output / stale, ignore_errors=True)
    # The tool always adds a folder named _build to the path that it is given.
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--toc", str(source / "book" / "_toc.yml")]
    command += ["--path-output", str(output.parent), "--builder", builder, *STRICT]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="root of the sources")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "_build", help="a folder named _build"
    )
    args = parser.parse_args()
    if args.output.name != "_build":
        parser.error(f"--output has to end in _build, got {args.output}")
    start = time.perf_counter()
    code = build(args.source.resolve(), args.output.resolve())
    if code:
        print(f"The site was not built (exit code {code}): see above.", file=sys.stderr)
    else:
        print(f"The site was built in {time.perf_counter() - start:.0f} s. Open")
        print(f"  {args.output.resolve() / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
