"""The metrics of heights, on cases counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dysample_lib.metrics.heights import NAMES, HeightMetrics
from dysample_lib.metrics.registry import METRICS

NAN = math.nan
TRUTH = torch.tensor([[100.0, 200.0, NAN], [-50.0, 5.0, 1000.0]])
GUESS = torch.tensor([[110.0, 100.0, 9.0], [20.0, 8.0, 1000.0]])


def test_a_case_by_hand() -> None:
    metrics = HeightMetrics(floor=10.0)
    metrics.update(GUESS, TRUTH)
    # Below the floor of 10: −50 and 5 count as 10, 20 stays, 8 counts as 10.
    logs = [math.log10(1.1), math.log10(2), math.log10(2), 0, 0]
    assert metrics.compute() == pytest.approx(
        {
            "rmse": math.sqrt((10**2 + 100**2 + 70**2 + 3**2) / 5),
            "mae": (10 + 100 + 70 + 3) / 5,
            "log10": sum(logs) / 5,
            "delta1": 3 / 5,
        }
    )
    assert set(NAMES) <= set(METRICS)


def test_batches_do_not_matter_and_pixels_count_alike() -> None:
    whole, parts = HeightMetrics(1.0), HeightMetrics(1.0)
    whole.update(GUESS, TRUTH)
    for guess, truth in zip(GUESS, TRUTH, strict=True):  # of two and of three pixels
        parts.update(guess, truth)
    parts.update(torch.full((3,), NAN), torch.full((3,), NAN))  # nothing but sea
    assert parts.compute() == pytest.approx(whole.compute())


def test_sums_keep_their_digits() -> None:
    metrics = HeightMetrics(1.0)
    for _ in range(20):
        metrics.update(torch.full((500_000,), 3000.1), torch.full((500_000,), 1000.0))
    assert metrics.compute()["rmse"] == pytest.approx(2000.1, rel=1e-7)


def test_a_quarter_more_is_not_below_a_quarter() -> None:
    metrics = HeightMetrics(1.0)
    metrics.update(torch.tensor([125.1, 124.9, 80.1, 79.9]), torch.full((4,), 100.0))
    assert metrics.compute()["delta1"] == 0.5


def test_nothing_measured_is_not_a_number() -> None:
    found = HeightMetrics(1.0).compute()
    assert list(found) == list(NAMES)
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("floor", [0, -1.0, math.inf, "1", True])
def test_a_floor_is_a_positive_number(floor: object) -> None:
    with pytest.raises((TypeError, ValueError), match="floor has to be a number > 0"):
        HeightMetrics(floor)  # type: ignore[arg-type]


def test_what_cannot_be_compared_is_refused_and_not_counted() -> None:
    metrics = HeightMetrics(1.0)
    with pytest.raises(ValueError, match=r"agree in shape, got \(2, 3\) and \(3,\)"):
        metrics.update(GUESS, TRUTH[0])
    with pytest.raises(ValueError, match="finite"):
        metrics.update(GUESS * NAN, TRUTH)
    assert math.isnan(metrics.compute()["rmse"])
