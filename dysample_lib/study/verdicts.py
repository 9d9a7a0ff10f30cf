"""What differences show, in words, by one rule.

Each difference is tested against 0 (the p-value of its t-test). Those that answer one
family of questions, say the steps of one table, are corrected together after Holm
(Scandinavian Journal of Statistics, 1979): the more that is asked, the more has to be
seen. Then, with ``margin`` from :data:`dysample_lib.metrics.registry.METRICS`:

- **shown**: the corrected p-value is below 0.05;
- **no difference above** the margin (½ point): not shown, and the whole interval lies
  within the margin of 0;
- **suggested**: only the uncorrected p-value is below 0.05;
- **not shown**: anything else, which is not "no difference".

What is shown or suggested *helps* or *hurts*, by the metric's direction. One run has no
verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..metrics.registry import Metric, find_metric
from .intervals import Estimate, format_difference

ALPHA = 0.05
"""How often a family of questions may show something where there is nothing."""


@dataclass(frozen=True)
class Verdict:
    """What a difference shows.

    Attributes:
        words: ``"shown"``, ``"suggested"``, ``"not shown"``, ``"no difference above ½
            point"`` or ``"one run, no verdict"``.
        effect: ``"helps"`` or ``"hurts"`` where something is shown or suggested.
        small: whether the whole interval lies within the margin of 0.
        estimate: the difference.
        p: its p-value.
        p_holm: corrected for the family.
        metric: the metric's name.
    """

    words: str
    effect: str
    small: bool
    estimate: Estimate
    p: float
    p_holm: float
    metric: str

    def __str__(self) -> str:
        """The words of tables: ``"helps (shown), by less than ½ point"``."""
        if not self.effect:
            return self.words
        text = f"{self.effect} ({self.words})"
        limit = margin(find_metric(self.metric))
        return f"{text}, by less than {limit}" if self.small else text

    @property
    def sentence(self) -> str:
        """The words and the numbers under them."""
        unit = find_metric(self.metric).difference_unit
        return f"{self}: {format_difference(self.estimate, self.metric)} {unit}".strip()


def margin(metric: Metric) -> str:
    """The difference up to which two models count as equal, in words.

    >>> margin(find_metric("boundary_iou")), margin(find_metric("rmse"))
    ('½ point', '5 m')
    """
    value = metric.scale * metric.margin
    if metric.unit == "%":
        return "½ point" if value == 0.5 else f"{value:g} points"
    return f"{value:g} {metric.unit}".strip()


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected together after Holm; NaN asks nothing and stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    asked = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected = [math.nan] * len(p_values)
    least = 0.0
    for rank, i in enumerate(sorted(asked, key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(asked) - rank) * p_values[i]))
        corrected[i] = least
    return corrected


def family(
    differences: Mapping[str, Estimate], metric: str = "boundary_iou"
) -> dict[str, Verdict]:
    """The verdicts on differences that answer one family of questions.

    Args:
        differences: by name, of
            :func:`~dysample_lib.study.intervals.paired_difference` or
            :func:`~dysample_lib.study.intervals.unpaired_difference`; those without a
            p-value, of one run, ask nothing.
        metric: what they are differences of.
    """
    measure = find_metric(metric)
    corrected = holm([estimate.p for estimate in differences.values()])
    return {
        name: _verdict(estimate, p_holm, metric, measure)
        for (name, estimate), p_holm in zip(differences.items(), corrected, strict=True)
    }


def verdict(difference: Estimate, metric: str = "boundary_iou") -> Verdict:
    """The verdict on a question that stands alone; :func:`family` is for several."""
    return family({"": difference}, metric)[""]


def _verdict(
    estimate: Estimate, p_holm: float, metric: str, measure: Metric
) -> Verdict:
    small = -measure.margin <= estimate.low <= estimate.high <= measure.margin
    if math.isnan(p_holm):
        words = "one run, no verdict" if estimate.n == 1 else "no verdict"
    elif p_holm < ALPHA:
        words = "shown"
    elif small:
        words = f"no difference above {margin(measure)}"
    elif estimate.p < ALPHA:
        words = "suggested"
    else:
        words = "not shown"
    effect = ""
    if words in ("shown", "suggested"):
        effect = "helps" if measure.direction * estimate.mean > 0 else "hurts"
    return Verdict(words, effect, small, estimate, estimate.p, p_holm, metric)
