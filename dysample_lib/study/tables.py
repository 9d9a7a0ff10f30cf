"""What the book reads from recorded runs: scores, differences, and the ladder's table.

An upsampler is named by its variant, ``"grouping"`` or ``"grouping,scope=0.5"``, and
only runs that agree in everything but upsampler and seed stand in one table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

import pandas as pd

from ..metrics.registry import find_metric
from ..tasks import TASKS
from ..upsamplers.registry import LADDER, PREDECESSORS, label, method
from .intervals import (
    Estimate,
    format_difference,
    format_mean,
    mean_interval,
    paired_difference,
    unpaired_difference,
)
from .provenance import code_digest
from .records import Record
from .spec import NOT_SETTING
from .verdicts import Verdict, family

NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def _of(records: Iterable[Record], variants: Sequence[str]) -> list[Record]:
    """The records of ``variants``, which are of one setting."""
    found = [record for record in records if record.spec.variant in variants]
    if not found:
        raise ValueError(f"records has to have runs of {', '.join(variants)}, got none")
    if len({record.spec.setting for record in found}) > 1:
        values = {
            field.name: {repr(getattr(record.spec, field.name)) for record in found}
            for field in fields(found[0].spec)
            if field.name not in NOT_SETTING
        }
        differing = "; ".join(
            f"{name} {', '.join(sorted(several))}"
            for name, several in values.items()
            if len(several) > 1
        )
        raise ValueError(
            "records have to agree in all but upsampler and seed, got "
            f"{differing}; choose with select(records, …)"
        )
    return found


def _before(
    order: Sequence[str], predecessors: Mapping[str, str] | None
) -> dict[str, str]:
    """What each is compared with; the first is compared with nothing."""
    if not order or len(set(order)) < len(order):
        raise ValueError(
            f"order has to hold different upsamplers, at least one, got {order!r}"
        )
    if predecessors is not None:
        return {name: predecessors[name] for name in order if name in predecessors}
    before = {}
    for row, name in enumerate(order[1:], start=1):
        step = PREDECESSORS.get(name, "")
        before[name] = step if step in order[:row] else order[row - 1]
    return before


def scores(
    records: Iterable[Record], upsampler: str, metric: str = "mean_iou"
) -> dict[int, float]:
    """The upsampler's ``metric`` by seed, as it is stored.

    Raises:
        ValueError: if there is no such metric, no run, several runs of a seed, or runs
            of several settings, naming in what they differ.
    """
    find_metric(metric)
    by_seed: dict[int, float] = {}
    for record in _of(records, [upsampler]):
        seed = record.spec.seed
        if seed in by_seed:
            raise ValueError(f"records has several runs of {upsampler}, seed {seed}")
        if metric not in record.metrics:
            raise ValueError(
                f"records of {upsampler} have no {metric}, got "
                f"{', '.join(record.metrics)}"
            )
        by_seed[seed] = record.metrics[metric]
    return by_seed


def difference(
    records: Iterable[Record],
    upsampler: str,
    before: str,
    metric: str = "mean_iou",
    level: float = 0.95,
    *,
    paired: bool = True,
) -> Estimate:
    """How much more ``upsampler`` measures than ``before``, as it is stored.

    Args:
        records: of one setting; other upsamplers' are left out.
        upsampler: a variant.
        before: the variant that it is compared with.
        metric: a key of :data:`.METRICS`.
        level: coverage of the interval.
        paired: pair runs by seed, over the seeds that both have. Where seeds do not
            move upsamplers together (the estimate's ``correlation`` is about 0),
            pairing costs width and unpaired runs say more. Decide for a setting, not
            for a result.

    Raises:
        ValueError: if either has no run, or no seed is shared.
    """
    found = _of(records, [upsampler, before])
    ours, theirs = (scores(found, name, metric) for name in (upsampler, before))
    if paired:
        return paired_difference(ours, theirs, level)
    return unpaired_difference(ours.values(), theirs.values(), level)


def step_verdicts(
    records: Iterable[Record],
    metric: str = "boundary_iou",
    order: Sequence[str] = LADDER,
    *,
    predecessors: Mapping[str, str] | None = None,
    level: float = 0.95,
    paired: bool = True,
) -> dict[str, Verdict]:
    """The verdict on every step of ``order``, corrected together as one family.

    Args:
        records: of one setting; other upsamplers' are left out.
        metric: a key of :data:`.METRICS`.
        order: variants.
        predecessors: what each is compared with. By default that is its predecessor in
            the paper's ladder where ``order`` has it before, and else the variant
            before it in ``order``.
        level: coverage of the intervals.
        paired: see :func:`difference`.

    Returns:
        By variant, for those that have a predecessor; of a step that lacks runs the
        estimate is NaN, with n = 0.
    """
    before = _before(order, predecessors)
    found = _of(records, [*order, *before.values()])
    there = {record.spec.variant for record in found}
    steps = {
        name: difference(found, name, other, metric, level, paired=paired)
        if {name, other} <= there
        else NOTHING
        for name, other in before.items()
    }
    return family(steps, metric)


def paired_differences(
    records: Iterable[Record],
    metric: str = "mean_iou",
    order: Sequence[str] = LADDER,
    *,
    predecessors: Mapping[str, str] | None = None,
    level: float = 0.95,
    paired: bool = True,
) -> pd.DataFrame:
    """Every step's difference to its predecessor, in numbers.

    The arguments are those of :func:`step_verdicts`.

    Returns:
        A row a step, with the columns ``upsampler``, ``label``, ``before``, ``mean``,
        ``low``, ``high``, ``sd`` (as shown: percentage points, or the metric's unit),
        ``n`` (seeds), ``correlation`` (of the pairs), ``p``, ``p_holm`` and
        ``verdict``.
    """
    scale = find_metric(metric).scale
    before = _before(order, predecessors)
    found = step_verdicts(
        records, metric, order, predecessors=predecessors, level=level, paired=paired
    )
    return pd.DataFrame(
        {
            "upsampler": name,
            "label": label(name),
            "before": before[name],
            "mean": scale * step.estimate.mean,
            "low": scale * step.estimate.low,
            "high": scale * step.estimate.high,
            "sd": scale * step.estimate.sd,
            "n": step.estimate.n,
            "correlation": step.estimate.correlation,
            "p": step.p,
            "p_holm": step.p_holm,
            "verdict": str(step),
        }
        for name, step in found.items()
    )


def ladder_table(
    records: Iterable[Record],
    order: Sequence[str] = LADDER,
    *,
    metrics: Sequence[str] | None = None,
    differences: Sequence[str] | None = None,
    predecessors: Mapping[str, str] | None = None,
    level: float = 0.95,
    paired: bool = True,
) -> pd.DataFrame:
    """The table of the ladder, ready to be read.

    Args:
        records: of one setting; other upsamplers' are left out.
        order: variants, a row each; a chapter passes its own two.
        metrics: keys of :data:`.METRICS`, a column each, with half the interval's
            width; by default what the task measures.
        differences: keys of :data:`.METRICS`, two columns each: the difference to the
            predecessor with its interval, and the verdict, with the table's rows as
            one family. By default the task's headline.
        predecessors: see :func:`step_verdicts`. One that is not in the row above is
            named.
        level: coverage of the intervals.
        paired: see :func:`difference`.

    Returns:
        Text, indexed by the variants' labels; "–" where there is nothing to say. A
        last column says where a row's runs are of other code than the present
        (:func:`dysample_lib.study.provenance.code_digest`).

    Raises:
        ValueError: if there are no runs, or runs that cannot stand in one table.
    """
    before = _before(order, predecessors)
    found = _of(records, [*order, *before.values()])
    measured = TASKS[found[0].spec.task].metrics
    metrics = measured if metrics is None else metrics
    differences = measured[:1] if differences is None else differences
    table = pd.DataFrame(index=pd.Index(map(label, order), name="upsampler"))
    rows = [[r for r in found if r.spec.variant == name] for name in order]
    table["seeds"] = [str(len(runs)) for runs in rows]
    table["parameters"] = [
        _parameters(name, runs) for name, runs in zip(order, rows, strict=True)
    ]
    for metric in metrics:
        table[find_metric(metric).heading] = [
            _mean(runs, name, metric, level)
            for name, runs in zip(order, rows, strict=True)
        ]
    for metric in differences:
        measure = find_metric(metric)
        steps = step_verdicts(
            found, metric, order, predecessors=before, level=level, paired=paired
        )
        unit = f" [{measure.difference_unit}]" if measure.difference_unit else ""
        table[f"Δ {measure.title}{unit}"] = [
            _step(steps, before, name, above)
            for name, above in zip(order, ("", *order), strict=False)
        ]
        several = f", {measure.title}" if len(differences) > 1 else ""
        table[f"verdict{several}"] = [
            str(steps[name]) if name in steps and steps[name].estimate.n else "–"
            for name in order
        ]
    code = code_digest()
    older = [any(r.environment.get("code") != code for r in runs) for runs in rows]
    if any(older):
        table["code"] = ["older" if row else "" for row in older]
    return table


def _mean(runs: list[Record], name: str, metric: str, level: float) -> str:
    if not runs:
        return "–"
    return format_mean(
        mean_interval(scores(runs, name, metric).values(), level), metric
    )


def _step(
    steps: Mapping[str, Verdict], before: Mapping[str, str], name: str, above: str
) -> str:
    """The difference as text; from what, where that is not the row above."""
    if name not in steps or not steps[name].estimate.n:
        return "–"
    text = format_difference(steps[name].estimate, steps[name].metric)
    other = before[name]
    return text if other == above else f"{text} to {method(other)}"


def _parameters(upsampler: str, runs: list[Record]) -> str:
    """How many learned values the upsamplers of the runs have."""
    counts = sorted({run.upsampler_parameters for run in runs})
    if len(counts) > 1:
        raise ValueError(
            f"records of {upsampler} have to agree in upsampler_parameters, "
            f"got {counts}"
        )
    return f"{counts[0]:,}" if counts else "–"
