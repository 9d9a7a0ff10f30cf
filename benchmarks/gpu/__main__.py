"""Make the steps that are not done yet: ``python -m benchmarks.gpu [STEP…]``.

With ``GPU_DRY=1`` each is tried on the CPU, at sizes that take seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.steps import STEPS, Step

ROOT = Path(__file__).resolve().parents[2]
DRY = os.environ.get("GPU_DRY") == "1"
GRACE = 5
"""Seconds that a program has to end when it is asked to."""


def command(step: Step, out: Path) -> list[str]:
    """The program of a step and its arguments."""
    words = shlex.split(step.command) + shlex.split(step.tiny) * DRY
    places = {"out": out, "results": out / "results"}
    return [sys.executable, *(word.format(**places) for word in words)]


def run(arguments: list[str], limit: float, log: Path) -> str:
    """Run a program for at most ``limit`` seconds; say how it ended."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if DRY:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what it started ends with it
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            end(process)
            return f"ended at its limit of {limit:g} s"
    return "done" if status == 0 else f"failed with exit status {status}"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def make(name: str, out: Path, limit: float | None = None) -> dict[str, Any]:
    """Make a step; what is to be known of it afterwards."""
    step = STEPS[name]
    started = time.perf_counter()
    ended = run(command(step, out), limit or step.limit, out / f"{name}.log")
    if ended == "done" and not (out / step.writes).exists():
        ended = f"failed: it wrote no {step.writes}"
    return {"ended": ended, "seconds": round(time.perf_counter() - started, 1)}


def pack(out: Path, archive: Path) -> None:
    """All that there is by now, in one file."""
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w:gz") as file:
        file.add(out, arcname=".")
    part.replace(archive)


def main(arguments: list[str] | None = None) -> int:
    """Make what is left; 1 if something is left afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:11}{step.title}" for name, step in STEPS.items()),
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="all by default")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "_build" / ("gpu-dry" if DRY else "gpu")
    )
    parser.add_argument("--limit", type=float, help="of every step, in seconds")
    parser.add_argument("--archive", type=Path, help="pack OUT here after each step")
    options = parser.parse_args(arguments)
    for name in options.steps:
        if name not in STEPS:
            parser.error(f"STEP has to be one of {', '.join(STEPS)}, got {name!r}")
    if not DRY:
        import torch

        if not torch.cuda.is_available():
            parser.error("there is no GPU here; GPU_DRY=1 tries the steps on the CPU")
    out: Path = options.out.resolve()
    (out / "results").mkdir(parents=True, exist_ok=True)
    noted = out / "steps.json"
    done = json.loads(noted.read_text("utf-8")) if noted.exists() else {}
    wanted = options.steps or list(STEPS)
    for name in wanted:
        if done.get(name, {}).get("ended") != "done":
            done[name] = make(name, out, options.limit)
            noted.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
            if options.archive:
                pack(out, options.archive)
        print(f"{name:11}{done[name]['seconds']:7.1f} s  {done[name]['ended']}")
    return int(any(done[name]["ended"] != "done" for name in wanted))


if __name__ == "__main__":
    sys.exit(main())
