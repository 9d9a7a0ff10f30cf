"""Means over seeds with their intervals, paired differences, and how to say them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy.special import stdtrit  # the quantiles of Student's t


@dataclass(frozen=True)
class Estimate:
    """A mean over runs and the interval that it is known to.

    Attributes:
        mean: of the ``n`` values.
        low: lower end of the interval; NaN for fewer than two values.
        high: upper end.
        n: number of values.
    """

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Iterable[float], level: float = 0.95) -> Estimate:
    """Mean of ``values`` and its interval by Student's t with n - 1 degrees of freedom.

    The interval is mean ± t · s / √n with the sample's standard deviation s. It holds
    for values that scatter normally around their mean, which is what one assumes of
    runs with different seeds. One value gives no interval: NaN.

    Args:
        values: one a run, at least one.
        level: coverage of the interval, between 0 and 1.

    Raises:
        ValueError: if there are no values or ``level`` does not fit.
    """
    if not 0 < level < 1:
        raise ValueError(f"level has to be between 0 and 1, got {level!r}")
    numbers = [float(value) for value in values]
    n = len(numbers)
    if not n:
        raise ValueError("values has to hold at least one value, got none")
    mean = math.fsum(numbers) / n
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    variance = math.fsum((number - mean) ** 2 for number in numbers) / (n - 1)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], level: float = 0.95
) -> Estimate:
    """Mean of ``a - b`` over the seeds that both have, with its interval.

    Two runs of one seed share their data order and first weights, so their difference
    scatters less than either.

    Args:
        a: value by seed; a pandas Series indexed by seed will do.
        b: the same, of what ``a`` is compared with.
        level: coverage of the interval.

    Raises:
        ValueError: if no seed is shared.
    """
    first, second = dict(a), dict(b)
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise ValueError(
            "a and b have to share at least one seed, "
            f"got {sorted(first)} and {sorted(second)}"
        )
    return mean_interval([first[seed] - second[seed] for seed in shared], level)


def verdict(difference: Estimate, unit: str | None = None) -> str:
    """What a difference of scores (more is better) shows, in words.

    "helps" or "hurts" only where the interval excludes 0; an interval that does not
    is no proof that there is no difference, hence "no difference shown".

    Args:
        difference: of shares in [0, 1].
        unit: ``"points"`` adds the numbers, in percentage points.

    >>> verdict(Estimate(0.02, 0.01, 0.03, n=5))
    'helps'
    >>> verdict(Estimate(0.02, -0.01, 0.05, n=5), "points")
    'no difference shown: +2.0 [−1.0, +5.0] points'
    """
    if unit not in (None, "points"):
        raise ValueError(f"unit has to be None or 'points', got {unit!r}")
    if math.isnan(difference.low) or math.isnan(difference.high):
        words = "one run, no verdict" if difference.n == 1 else "no verdict"
    elif difference.low > 0:
        words = "helps"
    elif difference.high < 0:
        words = "hurts"
    else:
        words = "no difference shown"
    return words if unit is None else f"{words}: {format_points(difference)} points"


def format_percent(estimate: Estimate) -> str:
    """A share as percent with half the interval's width.

    >>> format_percent(Estimate(0.628, 0.624, 0.632, n=5))
    '62.8 ± 0.4'
    """
    if math.isnan(estimate.mean):
        return "–"
    text = f"{100 * estimate.mean:.1f}"
    if math.isnan(estimate.low):
        return text
    return f"{text} ± {50 * (estimate.high - estimate.low):.1f}"


def format_points(difference: Estimate) -> str:
    """A difference of shares in percentage points, with its interval.

    >>> format_points(Estimate(0.021, -0.002, 0.044, n=5))
    '+2.1 [−0.2, +4.4]'
    """
    if math.isnan(difference.mean):
        return "–"
    mean, low, high = (
        f"{100 * value:+.1f}".replace("-", "−")
        for value in (difference.mean, difference.low, difference.high)
    )
    if mean in ("+0.0", "−0.0"):  # an end keeps its sign: it says which side of zero
        mean = "0.0"
    return mean if math.isnan(difference.low) else f"{mean} [{low}, {high}]"
