"""Intervals and paired differences agree with computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dysample_lib.study.intervals import (
    Estimate,
    format_percent,
    format_points,
    mean_interval,
    paired_difference,
    verdict,
)


def test_mean_interval_by_hand() -> None:
    # 1, 2, 3, 4, 5: mean 3, s² = 10 / 4, t(4 degrees, 97.5 %) = 2.776 445 105.
    found = mean_interval([1, 2, 3, 4, 5])
    half = 2.776445105 * math.sqrt(2.5 / 5)
    assert (found.mean, found.n) == (3, 5)
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
    assert mean_interval([0.5] * 3) == Estimate(0.5, 0.5, 0.5, 3)
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


def test_only_shared_seeds_are_paired() -> None:
    a, b = {0: 0.5, 1: 0.6, 7: 0.0}, {0: 0.4, 1: 0.4, 8: 1.0}
    found = paired_difference(a, b)
    assert found.n == 2
    assert found.mean == pytest.approx(0.15, abs=1e-12)
    assert math.isnan(paired_difference({0: 1.0}, {0: 0.5, 1: 0.5}).low)
    with pytest.raises(ValueError, match=r"share at least one seed, got \[7\] and"):
        paired_difference({7: 1.0}, {8: 1.0})


@pytest.mark.parametrize(
    ("low", "high", "n", "words"),
    [
        (0.001, 0.03, 5, "helps"),
        (-0.03, -0.001, 5, "hurts"),
        (-0.001, 0.03, 5, "no difference shown"),
        (0.0, 0.03, 5, "no difference shown"),
        (math.nan, math.nan, 1, "one run, no verdict"),
        (math.nan, math.nan, 0, "no verdict"),
    ],
)
def test_verdict(low: float, high: float, n: int, words: str) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, n)) == words


def test_wording_of_numbers() -> None:
    estimate = Estimate(-0.0123, -0.0201, -0.0045, 5)
    assert format_points(estimate) == "−1.2 [−2.0, −0.4]"
    assert verdict(estimate, "points") == "hurts: −1.2 [−2.0, −0.4] points"
    assert format_percent(Estimate(0.5, 0.48, 0.52, 5)) == "50.0 ± 2.0"
    assert format_percent(Estimate(0.5, math.nan, math.nan, 1)) == "50.0"
    assert format_points(Estimate(0.01, math.nan, math.nan, 1)) == "+1.0"
    with pytest.raises(ValueError, match="unit has to be None or 'points'"):
        verdict(estimate, "percent")
