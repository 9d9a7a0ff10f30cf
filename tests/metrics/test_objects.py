"""Average precision under our names, on cases counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dysample_lib.metrics.objects import ObjectMetrics, names
from dysample_lib.metrics.registry import METRICS

Boxes = list[tuple[float, float, float, float]]


def objects(
    boxes: Boxes, labels: list[int], *, crowd: list[int] | None = None
) -> dict[str, Tensor]:
    """Objects that fill their boxes, on 128 × 128 pixels."""
    masks = torch.zeros(len(boxes), 128, 128, dtype=torch.uint8)
    for mask, (left, upper, right, lower) in zip(masks, boxes, strict=True):
        mask[int(upper) : int(lower), int(left) : int(right)] = 1
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": masks,
        "iscrowd": torch.tensor(crowd or [0] * len(boxes)),
    }


def found(boxes: Boxes, labels: list[int], scores: list[float]) -> dict[str, Tensor]:
    plain = objects(boxes, labels)
    return {
        "boxes": plain["boxes"],
        "labels": plain["labels"],
        "scores": torch.tensor(scores),
        "masks": plain["masks"][:, None].float(),
    }


SMALL, LARGE = (0, 0, 10, 10), (20, 20, 124, 120)


def test_what_is_found_exactly_is_one() -> None:
    metrics = ObjectMetrics("mask", "box")
    metrics.update(
        [found([SMALL, LARGE], [1, 2], [0.9, 0.8])], [objects([SMALL, LARGE], [1, 2])]
    )
    scores = metrics.compute()
    assert tuple(scores) == names("mask", "box")
    assert set(scores) <= set(METRICS)
    for kind in ("mask", "box"):
        assert scores[f"{kind}_ap"] == scores[f"{kind}_ap_small"] == pytest.approx(1)
        assert scores[f"{kind}_ap_large"] == pytest.approx(1)
        assert math.isnan(scores[f"{kind}_ap_medium"])


def test_a_box_that_overlaps_by_four_fifths_counts_up_to_there() -> None:
    metrics = ObjectMetrics("box")
    metrics.update([found([(0, 0, 10, 8.01)], [1], [0.9])], [objects([SMALL], [1])])
    scores = metrics.compute()
    # Thresholds 0.50, 0.55 … 0.80 are met, 0.85, 0.90 and 0.95 are not.
    assert scores["box_ap"] == pytest.approx(0.7)
    assert scores["box_ap50"] == scores["box_ap75"] == pytest.approx(1)


def test_half_of_the_objects_and_the_classes_count_alike() -> None:
    metrics = ObjectMetrics("box")
    # Class 1: one of two found, no false one: precision 1 up to a recall of ½, which
    # is 51 of COCO's 101 points. Class 2: found, but something surer is wrong: ½.
    metrics.update(
        [found([SMALL, SMALL, LARGE], [1, 2, 2], [0.9, 0.9, 0.5])],
        [objects([SMALL, (40, 40, 50, 50), LARGE], [1, 1, 2])],
    )
    assert metrics.compute()["box_ap"] == pytest.approx((51 / 101 + 0.5) / 2)


def test_what_is_not_counted_is_neither_to_be_found_nor_wrong_to_find() -> None:
    truth = objects([SMALL, LARGE], [1, 1], crowd=[0, 1])
    inside = (30.0, 30.0, 50.0, 50.0)
    for sure, wanted in ((inside, 1.0), ((0.0, 100.0, 10.0, 110.0), 0.5)):
        metrics = ObjectMetrics("mask", "box")
        metrics.update([found([sure, SMALL], [1, 1], [0.9, 0.5])], [truth])
        scores = metrics.compute()
        assert scores["box_ap"] == pytest.approx(wanted)
        assert scores["mask_ap"] == pytest.approx(wanted)


def test_a_mask_may_be_wrong_in_a_box_that_is_right() -> None:
    metrics = ObjectMetrics("mask", "box")
    one = found([SMALL], [1], [0.9])
    one["masks"] = 0.4 * one["masks"]  # below ½: not a pixel of it
    metrics.update([one], [objects([SMALL], [1])])
    scores = metrics.compute()
    assert scores["box_ap"] == pytest.approx(1)
    assert scores["mask_ap"] == 0


def test_an_image_without_objects_can_be_wrong() -> None:
    metrics = ObjectMetrics("box")
    metrics.update(
        [found([], [], []), found([SMALL, LARGE], [1, 1], [0.5, 0.9])],
        [objects([], []), objects([SMALL], [1])],
    )
    assert metrics.compute()["box_ap"] == pytest.approx(0.5)
