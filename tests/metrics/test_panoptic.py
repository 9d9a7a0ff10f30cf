"""Panoptic quality, and the merging of things and stuff, on cases by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dysample_lib.metrics.panoptic import (
    NAMES,
    PanopticMetrics,
    merge,
    truth_map,
)
from dysample_lib.metrics.registry import METRICS

# Two kinds of stuff, 0 and 1, and one of things, 2.
TRUTH = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 2, 2]])
NUMBER = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1]])


def panoptic(category: Tensor, number: Tensor) -> Tensor:
    return torch.stack([category, number], -1)[None]


def quality(category: Tensor, number: Tensor = NUMBER) -> dict[str, float]:
    metrics = PanopticMetrics(2, 1)
    metrics.update(panoptic(category, number), panoptic(TRUTH, NUMBER))
    return metrics.compute()


def test_the_truth_is_perfect_whatever_the_objects_numbers_are() -> None:
    perfect = dict.fromkeys(NAMES, 1.0)
    assert quality(TRUTH) == perfect
    assert quality(TRUTH, 7 * NUMBER) == perfect
    assert set(NAMES) <= set(METRICS)


def test_a_case_by_hand() -> None:
    found = TRUTH.clone()
    found[:, 3] = 1  # stuff 0: 6 of 8; stuff 1: 4 of 6
    found[0, 6] = 0  # stuff 0: 6 of 9; the thing: 3 of 4
    number = NUMBER * (found == 2)
    iou = {"zero": 6 / 9, "one": 4 / 6, "thing": 3 / 4}
    assert quality(found, number) == pytest.approx(
        {
            "pq": sum(iou.values()) / 3,
            "sq": sum(iou.values()) / 3,
            "rq": 1.0,
            "pq_things": iou["thing"],
            "pq_stuff": (iou["zero"] + iou["one"]) / 2,
        }
    )


def test_one_thing_in_two_pieces_is_one_match_less() -> None:
    number = NUMBER.clone()
    number[1, 6:] = 2  # two halves: neither has more than half of it
    found = quality(TRUTH, number)
    assert found["pq_things"] == 0
    assert found["pq_stuff"] == 1
    assert found["pq"] == pytest.approx(2 / 3)
    number = NUMBER.clone()
    number[1, 7] = 2  # three quarters match, one quarter is wrong: RQ 1 / (1 + ½)
    assert quality(TRUTH, number)["pq_things"] == pytest.approx(0.75 / 1.5)


def test_void_in_the_truth_is_not_counted() -> None:
    truth = TRUTH.clone()
    truth[:, 6:] = -1
    metrics = PanopticMetrics(2, 1)
    metrics.update(panoptic(TRUTH, NUMBER), panoptic(truth, 0 * NUMBER))
    found = metrics.compute()
    assert found["pq"] == found["pq_stuff"] == 1
    assert math.isnan(found["pq_things"])


def test_nothing_measured_is_not_a_number() -> None:
    with pytest.warns(UserWarning, match="before the ``update``"):
        found = PanopticMetrics(2, 1).compute()
    assert list(found) == list(NAMES)
    assert all(math.isnan(value) for value in found.values())


def detected(
    scores: list[float], columns: list[slice], labels: list[int]
) -> dict[str, Tensor]:
    """Things on whole columns of 2 × 8 pixels; stuff 0 left of the fifth, 1 from it."""
    masks = torch.zeros(len(scores), 1, 2, 8)
    for mask, column in zip(masks, columns, strict=True):
        mask[..., column] = 0.9
    semantics = torch.zeros(3, 2, 8)
    semantics[0, :, :4], semantics[1, :, 4:] = 1, 1
    semantics[2, :, 6:] = 5  # the branch sees a thing there
    return {
        "scores": torch.tensor(scores),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": masks,
        "semantics": semantics,
    }


def test_things_are_claimed_by_the_surest_and_stuff_gets_the_rest() -> None:
    found = merge(detected([0.6, 0.9], [slice(0, 3), slice(2, 4)], [1, 2]), stuff=2)
    assert found[..., 0].tolist() == [[2, 2, 3, 3, 1, 1, 1, 1]] * 2
    numbers = found[..., 1]
    assert numbers[0, :2].unique().numel() == 1
    assert set(numbers[0].tolist()) == {0, 1, 2}
    assert not numbers[:, 4:].any()


def test_what_is_unsure_empty_or_hidden_is_no_thing() -> None:
    unsure = merge(detected([0.5], [slice(0, 3)], [1]), stuff=2)
    empty = merge(detected([0.9], [slice(0, 0)], [1]), stuff=2)
    none = merge(detected([], [], []), stuff=2)
    for found in (unsure, empty, none):
        assert found[..., 0].tolist() == [[0] * 4 + [1] * 4] * 2
        assert not found[..., 1].any()
    # One of three columns is left to the second: less than half.
    hidden = merge(detected([0.9, 0.8], [slice(0, 2), slice(0, 3)], [1, 1]), stuff=2)
    assert hidden[..., 0].tolist() == [[2, 2, 0, 0, 1, 1, 1, 1]] * 2


def test_the_truth_of_a_target() -> None:
    masks = torch.zeros(2, 1, 4, dtype=torch.uint8)
    masks[0, 0, 1], masks[1, 0, 3] = 1, 1
    semantics = torch.tensor([[0, 2, 1, 255]], dtype=torch.uint8)
    found = truth_map({"semantics": semantics, "masks": masks}, 255)
    assert found[..., 0].tolist() == [[0, 2, 1, -1]]
    assert found[0, :3, 1].tolist() == [0, 1, 0]
