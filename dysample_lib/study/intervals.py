"""Means and differences over seeds or images, and how far they are known.

All intervals are two-sided. Student's t assumes values that scatter normally around
their mean, which is what one assumes of runs with different seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from ..metrics.registry import MINUS, find_metric


@dataclass(frozen=True)
class Estimate:
    """A mean, the interval that it is known to, and what these were computed from.

    Attributes:
        mean: of the ``n`` values, or of their differences.
        low: lower end of the interval; NaN for fewer than two values.
        high: upper end.
        n: number of values: seeds or images; of an unpaired difference the smaller.
        sd: standard deviation of the values, or of the paired differences.
        correlation: of the pairs, in a paired difference of three or more. Pairing
            pays where it is clearly above 0.
        p: p-value of "the mean is 0"; NaN where that is no question.
    """

    mean: float
    low: float
    high: float
    n: int
    sd: float = math.nan
    correlation: float = math.nan
    p: float = math.nan


def _student(
    mean: float, error: float, df: float, level: float
) -> tuple[float, float, float]:
    """Interval and p-value of a mean with its standard error, by Student's t."""
    if error == 0:
        return mean, mean, float(mean == 0)
    low, high = stats.t.interval(level, df, loc=mean, scale=error)
    return float(low), float(high), float(2 * stats.t.sf(abs(mean) / error, df))


def _numbers(name: str, values: Iterable[float]) -> np.ndarray:
    numbers = np.array([float(value) for value in values])
    if not len(numbers):
        raise ValueError(f"{name} has to hold at least one value, got none")
    return numbers


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level has to be between 0 and 1, got {level!r}")


def mean_interval(values: Iterable[float], level: float = 0.95) -> Estimate:
    """Mean of ``values`` and its interval by Student's t with n - 1 degrees of freedom.

    The interval is mean ± t · s / √n with the sample's standard deviation s. One value
    gives no interval: NaN.

    Args:
        values: one a run, at least one.
        level: coverage of the interval, between 0 and 1.

    Raises:
        ValueError: if there are no values or ``level`` does not fit.
    """
    _check_level(level)
    numbers = _numbers("values", values)
    mean, n = math.fsum(numbers) / len(numbers), len(numbers)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    sd = float(numbers.std(ddof=1)) if np.ptp(numbers) else 0.0
    low, high, p = _student(mean, sd / math.sqrt(n), n - 1, level)
    return Estimate(mean, low, high, n, sd, p=p)


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], level: float = 0.95
) -> Estimate:
    """Mean of ``a - b`` over the seeds that both have, with its interval.

    The interval of a paired t-test. Two runs of one seed share the order of images
    and, where they have the same layers, first weights. Whether they therefore move
    together is for the data to say: the differences scatter less than independent runs
    would where the ``correlation`` is above 0, and more where it is below.

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
    left, right = (np.array([of[seed] for seed in shared]) for of in (first, second))
    found = mean_interval(left - right, level)
    return replace(found, correlation=_correlation(left, right))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 3 or not np.ptp(a) or not np.ptp(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def unpaired_difference(
    a: Iterable[float], b: Iterable[float], level: float = 0.95
) -> Estimate:
    """Difference of the means of ``a`` and ``b``, runs that have nothing in common.

    The interval of Welch's t-test, which lets the two scatter differently.

    Args:
        a: one value a run.
        b: the same, of what ``a`` is compared with.
        level: coverage of the interval.

    Raises:
        ValueError: if either has no value.
    """
    _check_level(level)
    left, right = _numbers("a", a), _numbers("b", b)
    mean, n = float(left.mean() - right.mean()), min(len(left), len(right))
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    parts = [x.var(ddof=1) / len(x) if np.ptp(x) else 0.0 for x in (left, right)]
    error = math.sqrt(sum(parts))
    # Welch and Satterthwaite: the share of each in the variance, squared.
    shares = [part / error**2 if error else 0.5 for part in parts]
    df = 1 / sum(
        share**2 / (len(x) - 1) for share, x in zip(shares, (left, right), strict=True)
    )
    low, high, p = _student(mean, error, df, level)
    return Estimate(mean, low, high, n, p=p)


def bootstrap_over_images(
    a: tuple[Any, Any],
    b: tuple[Any, Any],
    *,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
) -> Estimate:
    """How much more IoU ``a`` has than ``b``, with its interval over *images*.

    Images are drawn with replacement, the same for both (BCa bootstrap, Efron 1987),
    and each draw is pooled as a data set is: counts are summed before they are divided,
    classes averaged after. Several seeds are averaged last, and always the same ones.

    Args:
        a: intersection and union, (N, K) or (seeds, N, K) each: pixels by image and
            class, as :func:`dysample_lib.metrics.boundaries.iou_counts` has them.
        b: the same, of what ``a`` is compared with; may have other seeds.
        level: coverage of the interval.
        draws: how often all images are drawn.
        seed: of the draws.

    Returns:
        The difference on the images there are; ``n`` is N. One image gives no interval.

    Raises:
        ValueError: if the shapes do not fit.
    """
    _check_level(level)
    counts = [_images_first("a", a), _images_first("b", b)]
    if counts[0].shape[0] != counts[1].shape[0]:
        n, m = (len(array) for array in counts)
        raise ValueError(f"a and b have to be of the same images, got {n} and {m}")

    def difference(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        first, second = (
            _pooled_iou(array[drawn].sum(drawn.ndim - 1)) for array in counts
        )
        return first - second

    images = np.arange(len(counts[0]))
    mean = float(difference(images))
    if len(images) == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    without_one = [np.delete(images, image) for image in images]
    if not np.ptp(difference(np.array(without_one))):
        return Estimate(mean, mean, mean, len(images))  # any draw gives the same
    found = stats.bootstrap(
        (images,),
        difference,
        n_resamples=draws,
        batch=100,
        confidence_level=level,
        random_state=np.random.default_rng(seed),
    )
    low, high = map(float, found.confidence_interval)
    return Estimate(mean, low, high, len(images))


def _images_first(name: str, counts: tuple[Any, Any]) -> np.ndarray:
    """Intersection and union as one array (N, 2, seeds, K)."""
    intersection, union = (np.asarray(count) for count in counts)
    if (
        intersection.shape != union.shape
        or intersection.ndim not in (2, 3)
        or 0 in intersection.shape
    ):
        raise ValueError(
            f"{name} has to be intersection and union of shape (N, K) or (seeds, N, K) "
            f"each, got {intersection.shape} and {union.shape}"
        )
    both = np.stack([intersection, union])
    both = both[:, None] if intersection.ndim == 2 else both
    return both.transpose(2, 0, 1, 3)


def _pooled_iou(counts: np.ndarray) -> np.ndarray:
    """Mean IoU (…) of intersection and union (…, 2, seeds, K); NaN of nothing."""
    intersection, union = counts[..., 0, :, :], counts[..., 1, :, :]
    shares = intersection / np.maximum(union, 1)
    with np.errstate(invalid="ignore"):
        return (shares.sum(-1) / (union > 0).sum(-1)).mean(-1)


def seeds_needed(
    sd: float, effect: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """How many seeds a paired t-test takes to show ``effect``.

    Computed with the noncentral t distribution at that number of seeds, so with the
    wider intervals that few seeds have.

    Args:
        sd: standard deviation of the differences, as ``Estimate.sd`` has it.
        effect: the true difference, in the same unit.
        power: how often the test shows it.
        level: 1 minus how often it shows one that is not there.

    Returns:
        The least number, at least 2.

    Raises:
        ValueError: if an argument does not fit.

    >>> seeds_needed(sd=1.0, effect=0.5)
    34
    """
    _check_level(level)
    if not 0 < power < 1:
        raise ValueError(f"power has to be between 0 and 1, got {power!r}")
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd has to be a finite number ≥ 0, got {sd!r}")
    if not 0 < abs(effect) < math.inf:
        raise ValueError(f"effect has to be a finite number beside 0, got {effect!r}")

    def shown(n: int) -> float:
        limit = stats.t.ppf((1 + level) / 2, n - 1)
        shift = abs(effect) / sd * math.sqrt(n)
        noncentral = stats.nct(n - 1, shift)
        return float(noncentral.sf(limit) + noncentral.cdf(-limit))

    few, many = 1, 2
    if sd == 0:
        return many
    while shown(many) < power:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if shown(middle) >= power else (middle, many)
    return many


def format_mean(estimate: Estimate, metric: str = "boundary_iou") -> str:
    """A mean as it is shown, with half the interval's width.

    >>> format_mean(Estimate(0.628, 0.622, 0.634, n=5))
    '62.8 ± 0.6'
    """
    measure = find_metric(metric)
    if math.isnan(estimate.low):
        return measure.text(estimate.mean)
    half = (estimate.high - estimate.low) / 2
    vanishes = 0 < measure.scale * half < 0.5 * 10**-measure.digits
    digits = measure.digits + vanishes
    return f"{measure.text(estimate.mean, digits)} ± {measure.text(half, digits)}"


def format_difference(difference: Estimate, metric: str = "boundary_iou") -> str:
    """A difference as it is shown, signed, with its interval; shares in points.

    An interval of less than half a point to each side takes a digit more, and an end
    that is not 0 does not look like 0: a verdict hangs on its sign.

    >>> format_difference(Estimate(0.021, -0.002, 0.044, n=5))
    '+2.1 [−0.2, +4.4]'
    >>> format_difference(Estimate(0.0011, 0.00002, 0.0022, n=5))
    '+0.11 [+0.002, +0.22]'
    """
    measure = find_metric(metric)
    mean, low, high = (
        measure.scale * value
        for value in (difference.mean, difference.low, difference.high)
    )
    if math.isnan(mean):
        return "–"
    digits = measure.digits + bool((high - low) / 2 < 5 * 10**-measure.digits)
    text = _signed(mean, digits)
    if math.isnan(low):
        return text
    ends = (_signed(end, digits, most=digits + 3) for end in (low, high))
    return f"{text} [{', '.join(ends)}]"


def _signed(value: float, digits: int, most: int | None = None) -> str:
    """``value`` with its sign, and with up to ``most`` digits until it is not 0."""
    for places in range(digits, (most or digits) + 1):
        text = f"{value:+.{places}f}"
        if float(text):
            return text.replace("-", MINUS)
    return f"{0:.{digits}f}"
