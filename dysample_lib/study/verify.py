"""Recorded lines run again, and what a sweep has left to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from ..ops.checks import check_positive_integer
from .records import Record, read_records
from .run import run
from .spec import RunSpec
from .sweep import describe, duration, left_to_do, time_left

TOLERANCE = 0.01
"""How far a metric may be from its record: one point of a share, or 1 % of a length.

The same machine and threads repeat a run bit by bit. Elsewhere sums are rounded in
another order, and training carries that on.
"""


def verify(
    path: Path | str,
    count: int,
    *,
    root: Path | str | None = None,
    report: Callable[[str], None] = print,
) -> int:
    """Run ``count`` recorded lines again, spread over the file; 1 if one is off."""
    check_positive_integer("verify", count)
    records = read_records(path)
    if not records:
        raise ValueError(f"{path} has to hold at least one record, got none")
    count = min(count, len(records))
    chosen = [
        records[round(i * (len(records) - 1) / max(1, count - 1))] for i in range(count)
    ]
    off = 0
    for record in chosen:
        again = run(record.spec, root=root).record
        wrong = deviations(record, again)
        off += bool(wrong)
        report(
            f"{record.spec.variant} seed {record.spec.seed}: "
            + (f"off: {', '.join(wrong)}" if wrong else "as recorded, ")
            + ("" if wrong else f"to {largest(record, again):.2g}")
        )
    report(f"{count - off} of {count} as recorded, to {TOLERANCE}")
    return 1 if off else 0


def deviations(record: Record, again: Record) -> list[str]:
    """The metrics of a repeated run that are off or missing, with both values."""
    return [
        f"{name} {value:.4f} recorded, {again.metrics.get(name, math.nan):.4f} now"
        for name, value in record.metrics.items()
        if name not in again.metrics or not _close(value, again.metrics[name])
    ]


def largest(record: Record, again: Record) -> float:
    """The largest deviation of a metric that both have."""
    return max(
        (
            abs(record.metrics[name] - value)
            for name, value in again.metrics.items()
            if name in record.metrics and not math.isnan(value)
        ),
        default=0.0,
    )


def _close(recorded: float, now: float) -> bool:
    if math.isnan(recorded) or math.isnan(now):
        return math.isnan(recorded) and math.isnan(now)
    return abs(recorded - now) <= TOLERANCE * max(1.0, abs(recorded))


def say_what_is_left(
    jobs: Sequence[RunSpec],
    output: Path,
    workers: int = 1,
    report: Callable[[str], None] = print,
) -> None:
    """List the runs that ``output`` lacks, and how long they will take."""
    records = read_records(output, missing_ok=True)
    todo, counts = left_to_do(jobs, records)
    for job in todo:
        report(describe(job))
    seconds = time_left(todo, records)
    took = ""
    if todo:
        took = ": no record says how long"
    if todo and seconds is not None:
        took = f": about {duration(seconds / workers)} by the records"
    report(counts + took)
