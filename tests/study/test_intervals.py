"""Intervals and differences agree with computation by hand and with scipy's tests."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from label_samples import random_pair
from scipy import stats

from dysample_lib.metrics.boundaries import iou_counts
from dysample_lib.study.intervals import (
    Estimate,
    bootstrap_over_images,
    format_difference,
    format_mean,
    mean_interval,
    paired_difference,
    seeds_needed,
    unpaired_difference,
)


def test_mean_interval_by_hand() -> None:
    # 1, 2, 3, 4, 5: mean 3, s² = 10 / 4, t(4 degrees, 97.5 %) = 2.776 445 105.
    found = mean_interval([1, 2, 3, 4, 5])
    half = 2.776445105 * math.sqrt(2.5 / 5)
    assert (found.mean, found.n) == (3, 5)
    assert found.sd == pytest.approx(math.sqrt(2.5), abs=1e-12)
    assert found.low == pytest.approx(3 - half, abs=1e-8)
    assert found.high == pytest.approx(3 + half, abs=1e-8)
    # Two values, 90 %: t(1 degree, 95 %) = 6.313 751 515, s / √2 = |a - b| / 2.
    found = mean_interval([0.5, 0.7], level=0.9)
    assert found.high == pytest.approx(0.6 + 6.313751515 * 0.1, abs=1e-8)


def test_mean_interval_at_the_edges() -> None:
    one = mean_interval([0.5])
    assert (one.mean, one.n) == (0.5, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    same = mean_interval([0.1] * 3)  # whose sum is not 0.3
    assert (same.low, same.high, same.sd, same.p) == (same.mean, same.mean, 0, 0)
    assert mean_interval([0.0] * 3).p == 1
    unknown = mean_interval([0.5, math.nan])
    assert math.isnan(unknown.mean) and math.isnan(unknown.low)
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
    for level in (0, 1, 95, math.nan):
        with pytest.raises(ValueError, match="level has to be between 0 and 1"):
            mean_interval([1.0, 2.0], level=level)


def test_interval_covers_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    estimates = [mean_interval(row) for row in draws]
    share = sum(e.low <= 0 <= e.high for e in estimates) / len(estimates)
    assert share == pytest.approx(0.95, abs=0.015)  # 3 standard errors


def test_paired_difference_by_hand() -> None:
    a = {0: 0.60, 1: 0.70, 2: 0.80}
    b = {2: 0.77, 1: 0.68, 0: 0.59}
    # Differences 0.01, 0.02, 0.03: s = 0.01, t(2 degrees) = 4.302 652 730.
    found = paired_difference(a, b)
    half = 4.302652730 * 0.01 / math.sqrt(3)
    assert found.n == 3
    assert found.mean == pytest.approx(0.02, abs=1e-12)
    assert found.low == pytest.approx(0.02 - half, abs=1e-9)
    assert found.high == pytest.approx(0.02 + half, abs=1e-9)
    other = paired_difference(b, a)
    assert other.mean == pytest.approx(-0.02, abs=1e-12)
    series = paired_difference(pd.Series(a), pd.Series(b))
    assert series == found
    assert found.sd == pytest.approx(0.01, abs=1e-12)


def test_only_shared_seeds_are_paired() -> None:
    a, b = {0: 0.5, 1: 0.6, 7: 0.0}, {0: 0.4, 1: 0.4, 8: 1.0}
    found = paired_difference(a, b)
    assert found.n == 2
    assert found.mean == pytest.approx(0.15, abs=1e-12)
    assert math.isnan(paired_difference({0: 1.0}, {0: 0.5, 1: 0.5}).low)
    with pytest.raises(ValueError, match=r"share at least one seed, got \[7\] and"):
        paired_difference({7: 1.0}, {8: 1.0})


VALUES = st.floats(-1, 1).map(lambda value: round(value, 6))


@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=8), st.floats(0.5, 0.99)
)
def test_differences_are_those_of_scipys_tests(
    pairs: list[tuple[float, float]], level: float
) -> None:
    left, right = (dict(enumerate(values)) for values in zip(*pairs, strict=True))
    a, b = np.array([*left.values()]), np.array([*right.values()])
    if min(np.ptp(a), np.ptp(b), np.ptp(a - b)) < 1e-3:
        return  # scipy warns of cancellation
    for found, test in (
        (paired_difference(left, right, level), stats.ttest_rel(a, b)),
        (
            unpaired_difference(a, b, level),
            stats.ttest_ind(a, b, equal_var=False),
        ),
    ):
        low, high = test.confidence_interval(level)
        assert found.low == pytest.approx(low, rel=1e-6, abs=1e-9)
        assert found.high == pytest.approx(high, rel=1e-6, abs=1e-9)
        assert found.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
        assert found.n == len(pairs)
    correlation = paired_difference(left, right).correlation
    assert correlation == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-9)


def test_pairing_pays_where_runs_move_together() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=20), 0.1 * rng.normal(size=(2, 20))
    a, b = (dict(enumerate(shared + noise)) for noise in own)
    paired, unpaired = (
        paired_difference(a, b),
        unpaired_difference(*map(dict.values, (a, b))),
    )
    assert paired.correlation > 0.9
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 4
    against = paired_difference(a, {seed: -value for seed, value in b.items()})
    assert against.correlation < -0.9
    assert against.sd > math.sqrt(2) * np.std([*a.values()], ddof=1)


def test_correlation_needs_three_pairs_that_scatter() -> None:
    assert math.isnan(paired_difference({0: 1.0, 1: 2.0}, {0: 1.0, 1: 3.0}).correlation)
    flat = paired_difference({0: 1.0, 1: 2.0, 2: 3.0}, dict.fromkeys(range(3), 0.5))
    assert math.isnan(flat.correlation)
    assert flat.n == 3


def test_unpaired_difference_at_the_edges() -> None:
    found = unpaired_difference([0.6, 0.7, 0.8], [0.5, 0.5])
    # One side does not scatter: the t of the other's 2 degrees of freedom.
    assert found.high - found.mean == pytest.approx(4.302652730 * 0.1 / math.sqrt(3))
    assert (found.mean, found.n) == (pytest.approx(0.2), 2)
    same = unpaired_difference([0.5, 0.5], [0.25, 0.25])
    assert (same.low, same.high, same.p) == (0.25, 0.25, 0)
    assert math.isnan(unpaired_difference([0.5], [0.5, 0.6]).low)
    with pytest.raises(ValueError, match="b has to hold at least one value"):
        unpaired_difference([0.5], [])


# Over images


def images(shift: float, n: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two classes: IoU about 0.5 + shift, sizes that differ by image."""
    rng = np.random.default_rng(seed)
    union = rng.integers(50, 500, (n, 2))
    share = np.clip(rng.normal(0.5 + shift, 0.1, (n, 2)), 0, 1)
    return (union * share).astype(int), union


def test_bootstrap_pools_images_as_the_metric_does() -> None:
    prediction, target = random_pair(3, (12, 16, 16))
    worse = prediction.roll(1, 2)
    a, b = (iou_counts(p, target, 3)["boundary_iou"] for p in (prediction, worse))
    found = bootstrap_over_images(a, b)
    mean = (a.iou().nanmean() - b.iou().nanmean()).item()
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.low < found.mean < found.high
    assert found.low > 0
    assert found.n == 12


def test_bootstrap_of_a_mean_is_near_students_interval() -> None:
    # Of images of one size and one class, the pooled IoU is the mean over images.
    rng = np.random.default_rng(1)
    union = np.full((60, 1), 1000)
    a, b = (rng.normal(mean, 80, (60, 1)).round() for mean in (600, 560))
    found = bootstrap_over_images((a, union), (b, union))
    wanted = mean_interval((a - b)[:, 0] / 1000)
    assert found.mean == pytest.approx(wanted.mean)
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.1 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.1 * width)
    wide = bootstrap_over_images((a, union), (b, union), level=0.99)
    assert wide.low < found.low < found.high < wide.high


def test_bootstrap_draws_the_same_images_for_both() -> None:
    # Images differ much, models by 5 points on each: only unpaired draws would scatter.
    union = np.full((50, 1), 10_000)
    b = np.random.default_rng(2).integers(1000, 9000, (50, 1))
    found = bootstrap_over_images((b + 500, union), (b, union))
    assert found.low == pytest.approx(0.05) == found.high


def test_bootstrap_depends_on_its_seed_alone() -> None:
    a, b = images(0.05), images(0.0, seed=1)
    found = bootstrap_over_images(a, b)
    np.random.seed(5)
    assert bootstrap_over_images(a, b) == found
    assert bootstrap_over_images(a, b, seed=1) != found
    tensors = [tuple(map(torch.from_numpy, counts)) for counts in (a, b)]
    assert bootstrap_over_images(*tensors) == found


def test_bootstrap_averages_seeds_last() -> None:
    runs = [images(shift, seed=7) for shift in (0.0, 0.02, 0.1)]
    three = tuple(np.stack(counts) for counts in zip(*runs, strict=True))
    one = images(0.0, seed=8)
    found = bootstrap_over_images(three, one)
    means = [bootstrap_over_images(run, one, draws=10).mean for run in runs]
    assert found.mean == pytest.approx(np.mean(means))
    assert bootstrap_over_images(three, three).mean == 0


def test_bootstrap_at_the_edges() -> None:
    counts = images(0.0)
    assert bootstrap_over_images(counts, counts) == Estimate(0, 0, 0, 40)
    one = images(0.1, n=1)
    assert math.isnan(bootstrap_over_images(one, one).low)
    # A class that is in some draws only, and one that is in none, are left out.
    union = np.zeros((20, 3), int)
    union[:, 0], union[0, 1] = 100, 100
    found = bootstrap_over_images((union // 2, union), (union // 4, union))
    assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="of the same images, got 40 and 39"):
        bootstrap_over_images(counts, images(0.0, n=39))
    with pytest.raises(ValueError, match=r"a has to be .* got \(40,\) and \(40, 2\)"):
        bootstrap_over_images((counts[0][:, 0], counts[1]), counts)


# Planning


@pytest.mark.parametrize(
    ("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (100.0, 2)]
)
def test_seeds_needed_are_those_of_the_tables(effect: float, seeds: int) -> None:
    """Paired t-test, two-sided 5 %, power 80 % (Cohen 1988)."""
    assert seeds_needed(1.0, effect) == seeds_needed(2.0, -2 * effect) == seeds


def test_that_many_seeds_do_show_it() -> None:
    n = seeds_needed(1.0, 1.5, power=0.9)
    draws = np.random.default_rng(0).normal(1.5, 1.0, size=(4000, n))
    for count, enough in ((n, True), (n - 1, False)):
        low, high = stats.ttest_1samp(draws[:, :count], 0, axis=1).confidence_interval()
        assert (np.mean((low > 0) | (high < 0)) >= 0.9) is np.bool_(enough)


def test_planning_arguments_have_to_fit() -> None:
    assert seeds_needed(0.0, 0.1) == 2
    assert seeds_needed(1.0, 0.5, level=0.99) > 34
    for arguments, name in (
        ({"sd": -1.0, "effect": 1.0}, "sd"),
        ({"sd": 1.0, "effect": 0.0}, "effect"),
        ({"sd": 1.0, "effect": 1.0, "power": 1.0}, "power"),
        ({"sd": 1.0, "effect": 1.0, "level": 95}, "level"),
    ):
        with pytest.raises(ValueError, match=f"{name} has to be"):
            seeds_needed(**arguments)


# Wording


@pytest.mark.parametrize(
    ("numbers", "metric", "text"),
    [
        ((-0.0123, -0.0201, -0.0045), "boundary_iou", "−1.2 [−2.0, −0.4]"),
        ((0.0108, 0.0069, 0.0148), "boundary_iou", "+1.08 [+0.69, +1.48]"),
        ((0.01, math.nan, math.nan), "boundary_iou", "+1.0"),
        ((math.nan, math.nan, math.nan), "boundary_iou", "–"),
        # An end keeps its sign, whatever it takes; a mean need not.
        ((0.02, 0.0004, 0.0396), "boundary_iou", "+2.0 [+0.04, +4.0]"),
        ((-0.0016, -0.0032, -0.000004), "boundary_iou", "−0.16 [−0.32, −0.0004]"),
        ((0.0001, -0.02, 0.0202), "boundary_iou", "0.0 [−2.0, +2.0]"),
        ((0.0, 0.0, 0.0), "boundary_iou", "0.00 [0.00, 0.00]"),
        ((1e-12, 1e-12, 1e-12), "boundary_iou", "0.00 [0.00, 0.00]"),
        ((-4.2, -9.7, 1.3), "rmse", "−4.2 [−9.7, +1.3]"),
        ((-0.004, -0.01, 0.002), "log10", "−0.004 [−0.010, +0.002]"),
    ],
)
def test_differences_as_text(
    numbers: tuple[float, float, float], metric: str, text: str
) -> None:
    assert format_difference(Estimate(*numbers, n=5), metric) == text


def test_means_as_text() -> None:
    assert format_mean(Estimate(0.5, 0.48, 0.52, 5)) == "50.0 ± 2.0"
    assert format_mean(Estimate(0.42831, 0.4262, 0.43042, 5)) == "42.8 ± 0.2"
    assert format_mean(Estimate(0.42831, 0.4279, 0.42872, 5)) == "42.83 ± 0.04"
    assert format_mean(Estimate(0.5, 0.5, 0.5, 5)) == "50.0 ± 0.0"
    assert format_mean(Estimate(0.5, math.nan, math.nan, 1)) == "50.0"
    assert format_mean(Estimate(math.nan, math.nan, math.nan, 2)) == "–"
    assert format_mean(Estimate(465.2, 460.0, 470.4, 5), "rmse") == "465.2 ± 5.2"
    with pytest.raises(ValueError, match="metric has to be one of"):
        format_mean(Estimate(0.5, 0.5, 0.5, 5), "miou")
