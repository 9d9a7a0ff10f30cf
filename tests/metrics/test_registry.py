"""Every metric has a title, a unit and a direction, and is written in its unit."""

from __future__ import annotations

import math

import pytest

from dysample_lib.metrics.registry import METRICS, find_metric
from dysample_lib.metrics.segmentation import SHARES


def test_less_is_better_for_errors_alone() -> None:
    falling = {name for name, metric in METRICS.items() if metric.direction < 0}
    assert falling == {"rmse", "mae", "log10"}
    assert {metric.direction for metric in METRICS.values()} == {1, -1}


def test_what_the_metrics_compute_is_registered() -> None:
    assert set(SHARES) <= set(METRICS)
    assert {METRICS[name].unit for name in SHARES} == {"%"}
    boxes = {name for name in METRICS if name.startswith("box_ap")}
    assert len(boxes) == 6
    assert {name.replace("box", "mask") for name in boxes} <= set(METRICS)
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


def test_values_are_written_in_their_unit() -> None:
    share, length = METRICS["boundary_iou"], METRICS["rmse"]
    assert (share.heading, share.difference_unit) == ("boundary IoU [%]", "points")
    assert (length.heading, length.difference_unit) == ("RMSE [m]", "m")
    assert METRICS["log10"].heading == "log10 error"
    assert METRICS["log10"].text(0.12345) == "0.123"
    assert share.text(0.42836) == "42.8"
    assert share.text(0.42836, digits=2) == "42.84"
    assert length.text(-465.31) == "−465.3"
    assert share.text(math.nan) == "–"


def test_half_a_point_is_the_margin_of_shares() -> None:
    assert {m.margin for m in METRICS.values() if m.unit == "%"} == {0.005}
    assert all(m.margin > 0 for m in METRICS.values())


def test_unknown_metrics_are_named() -> None:
    assert find_metric("pq") is METRICS["pq"]
    with pytest.raises(ValueError, match=r"metric has to be one of .*'rmse'.*'miou'"):
        find_metric("miou")
