"""What the book reads from recorded runs: the table of the ladder and its steps.

Records are kept by :mod:`dysample_lib.study.records` and counted by
:mod:`dysample_lib.study.intervals`; both are at hand here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ..metrics.registry import METRICS
from ..ops.checks import check_choice
from ..upsamplers import LADDER, UPSAMPLERS
from .intervals import (
    Estimate,
    format_percent,
    format_points,
    mean_interval,
    paired_difference,
    verdict,
)
from .records import (
    Record,
    append_record,
    read_records,
    recorded_runs,
    select,
)

__all__ = [
    "METRICS",
    "Estimate",
    "Record",
    "append_record",
    "difference",
    "format_percent",
    "format_points",
    "ladder_table",
    "mean_interval",
    "paired_difference",
    "paired_differences",
    "read_records",
    "recorded_runs",
    "scores",
    "select",
    "verdict",
]

NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def _of(records: Iterable[Record], names: Sequence[str]) -> list[Record]:
    """The records of the upsamplers ``names``, which are of one setting."""
    found = [record for record in records if record.spec.variant in names]
    if not found:
        raise ValueError(f"records has to have runs of {', '.join(names)}, got none")
    for record in found:
        if record.spec.setting != found[0].spec.setting:
            aligned = replace(
                record.spec,
                upsampler=found[0].spec.upsampler,
                upsampler_options=found[0].spec.upsampler_options,
                seed=found[0].spec.seed,
            )
            raise ValueError(
                "records have to agree in all but upsampler and seed, got "
                f"{found[0].spec.differences(aligned)}; choose with select(records, …)"
            )
    return found


def _label(upsampler: str) -> str:
    entry = UPSAMPLERS.get(upsampler)
    return entry.label if entry else upsampler


def _before(
    order: Sequence[str], predecessors: Mapping[str, str] | None
) -> dict[str, str]:
    """The rung that each is compared with; the first has none."""
    if not order or len(set(order)) < len(order):
        raise ValueError(
            f"order has to hold different upsamplers, at least one, got {order!r}"
        )
    if predecessors is None:
        return dict(zip(order[1:], order, strict=False))
    return {name: predecessors[name] for name in order if name in predecessors}


def scores(
    records: Iterable[Record], upsampler: str, metric: str = "mean_iou"
) -> dict[int, float]:
    """The upsampler's ``metric`` by seed.

    Raises:
        ValueError: if there is no such metric, no run, or runs of several settings.
    """
    check_choice("metric", metric, tuple(METRICS))
    found = _of(records, [upsampler])
    return {record.spec.seed: record.metrics[metric] for record in found}


def difference(
    records: Iterable[Record],
    upsampler: str,
    before: str,
    metric: str = "mean_iou",
    level: float = 0.95,
) -> Estimate:
    """How much more ``upsampler`` scores than ``before``, over the seeds of both.

    Returns:
        The difference, of shares; 0.01 is one percentage point.

    Raises:
        ValueError: if either has no run, or no seed is shared.
    """
    found = _of(records, [upsampler, before])
    return paired_difference(
        scores(found, upsampler, metric), scores(found, before, metric), level
    )


def _step(
    found: list[Record], upsampler: str, before: str | None, metric: str, level: float
) -> Estimate:
    """The difference, or nothing where there is no rung before or no run yet."""
    names = {record.spec.variant for record in found}
    if before is None or not {upsampler, before} <= names:
        return NOTHING
    return difference(found, upsampler, before, metric, level)


def paired_differences(
    records: Iterable[Record],
    metric: str = "mean_iou",
    order: Sequence[str] = LADDER,
    *,
    predecessors: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Every rung's paired difference to the rung before, in percentage points.

    Args:
        records: of one setting; other upsamplers' are left out.
        metric: a key of :data:`.METRICS`.
        order: the rungs.
        predecessors: the rung that each is compared with, if not the one before it in
            ``order``; a rung that is not in it has no row.
        level: coverage of the intervals.

    Returns:
        A row a rung that has one before it, with the columns ``upsampler``, ``label``,
        ``before``, ``mean``, ``low``, ``high`` (points), ``n`` (seeds) and
        ``verdict``. A rung without runs has NaN and n = 0.
    """
    check_choice("metric", metric, tuple(METRICS))
    before = _before(order, predecessors)
    found = _of(records, [*order, *before.values()])
    rows = []
    for name, other in before.items():
        step = _step(found, name, other, metric, level)
        rows.append(
            {
                "upsampler": name,
                "label": _label(name),
                "before": other,
                "mean": 100 * step.mean,
                "low": 100 * step.low,
                "high": 100 * step.high,
                "n": step.n,
                "verdict": verdict(step),
            }
        )
    return pd.DataFrame(rows)


def ladder_table(
    records: Iterable[Record],
    order: Sequence[str] = LADDER,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    differences: Sequence[str] = ("boundary_iou",),
    predecessors: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """The table of the ladder, ready to be read.

    Args:
        records: of one setting; other upsamplers' are left out.
        order: the rungs, a row each; a chapter passes its own two.
        metrics: keys of :data:`.METRICS`, a column each, in percent with half the
            interval's width.
        differences: keys of :data:`.METRICS`, a column each: the paired difference to
            the rung before, in percentage points with its interval.
        predecessors: see :func:`paired_differences`.
        level: coverage of the intervals.

    Returns:
        Text, indexed by the rungs' labels; "–" where there is nothing to say.
        Seconds are those of the fastest run: others may have shared their machine.

    Raises:
        ValueError: if there are no runs, or runs that cannot stand in one table.
    """
    for name in (*metrics, *differences):
        check_choice("metrics and differences", name, tuple(METRICS))
    before = _before(order, predecessors)
    found = _of(records, [*order, *before.values()])
    rows = []
    for name in order:
        runs = select(found, variant=name)
        row = {"seeds": str(len(runs)), "parameters": _parameters(name, runs)}
        for metric in metrics:
            values = [run.metrics[metric] for run in runs]
            text = format_percent(mean_interval(values, level)) if values else "–"
            row[METRICS[metric].heading] = text
        for metric in differences:
            step = _step(found, name, before.get(name), metric, level)
            row[f"Δ {METRICS[metric].title} [points]"] = format_points(step)
        rows.append(row)
    index = pd.Index([_label(name) for name in order], name="upsampler")
    return pd.DataFrame(rows, index=index)


def _parameters(upsampler: str, runs: list[Record]) -> str:
    """How many learned values the upsamplers of the runs have."""
    counts = sorted({run.upsampler_parameters for run in runs})
    if len(counts) > 1:
        raise ValueError(
            f"records of {upsampler} have to agree in upsampler_parameters, "
            f"got {counts}"
        )
    return f"{counts[0]:,}" if counts else "–"
