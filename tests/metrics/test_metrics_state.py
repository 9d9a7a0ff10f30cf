"""The metric as a torchmetrics.Metric: what is counted is kept, moved and merged."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from label_samples import random_pair
from torch import Tensor
from torchmetrics import Metric

from dysample_lib.metrics.boundaries import iou_counts
from dysample_lib.metrics.segmentation import Scores, SegmentationMetrics


def pairs() -> list[tuple[Tensor, Tensor]]:
    return [random_pair(3, (n, 12, 9), ignored=0.1) for n in (2, 3)]


def counted(*batches: tuple[Tensor, Tensor]) -> SegmentationMetrics:
    metrics = SegmentationMetrics(3)
    for prediction, target in batches:
        metrics.update(prediction, target)
    return metrics


def test_calling_it_gives_the_batch_alone_and_counts_it() -> None:
    first, second = pairs()
    metrics = SegmentationMetrics(3)
    assert metrics(*first) == counted(first).compute()
    assert metrics(*second) == counted(second).compute()
    assert metrics.compute() == counted(first, second).compute()
    assert metrics.update_count == 2


def test_nothing_is_lost_where_a_call_fails() -> None:
    first, second = pairs()
    metrics = counted(first)
    for call in (metrics, metrics.update):
        with pytest.raises(ValueError, match=r"prediction .* 0…2, got \[3\]"):
            call(first[0] + 1, first[1])
        assert metrics.compute() == counted(first).compute()
    metrics.update(*second)
    assert metrics.compute() == counted(first, second).compute()


def test_copies_count_on_their_own() -> None:
    first, second = pairs()
    metrics = counted(first)
    others = [metrics.clone(), copy.deepcopy(metrics)]
    others.append(pickle.loads(pickle.dumps(metrics)))
    for other in others:
        assert isinstance(other, SegmentationMetrics)
        assert other.compute() == metrics.compute()
        other.update(*second)
        assert other.compute() == counted(first, second).compute()
    assert metrics.compute() == counted(first).compute()


def test_state_is_saved_where_it_is_asked_for() -> None:
    first, second = pairs()
    metrics = counted(first)
    assert not metrics.state_dict()  # as with every metric of torchmetrics
    metrics.persistent(True)
    other = counted(second)
    other.load_state_dict(metrics.state_dict())
    assert other.compute() == metrics.compute()


def test_counts_are_summed_over_processes() -> None:
    first, second = pairs()
    metrics, other = counted(first), counted(second)

    def gather(state: Tensor, group: object) -> list[Tensor]:
        same = torch.equal(state, metrics.intersection)
        return [state, other.intersection if same else other.union]

    metrics.dist_sync_fn, metrics.distributed_available_fn = gather, lambda: True
    assert metrics.compute() == counted(first, second).compute()
    # and its own counts are its own again
    assert torch.equal(metrics.union, counted(first).union)


def test_metrics_merge() -> None:
    first, second = pairs()
    metrics = counted(first)
    metrics.merge_state(counted(second))
    assert metrics.compute() == counted(first, second).compute()


def test_counts_are_whole_numbers_on_the_metrics_device() -> None:
    (pair, _), metrics = pairs(), SegmentationMetrics(3)
    assert isinstance(metrics, Metric)
    assert metrics.intersection.dtype == metrics.union.dtype == torch.int64
    metrics.update(*pair)
    metrics.half().double().float()
    for state in (metrics.intersection, metrics.union):
        assert (state.dtype, state.device.type) == (torch.int64, "cpu")
    metrics.to("meta")
    assert metrics.union.device.type == "meta"
    if torch.cuda.is_available():
        moved = counted(pair).to("cuda")
        moved.update(*(labels.cuda() for labels in pair))
        moved.update(*pair)  # from another device
        assert moved.union.device.type == "cuda"
        assert moved.compute() == counted(pair, pair, pair).compute()


def test_counts_do_not_wrap() -> None:
    metrics = SegmentationMetrics(2)
    labels = torch.tensor([[[0, 0, 1, 1]]])
    metrics.update(labels, labels)
    metrics.intersection = metrics.intersection + 2**40
    metrics.union = metrics.union + 2**41
    metrics.update(labels, labels)
    assert metrics.union[0].tolist() == [2**41 + 4] * 2
    assert metrics.compute()["mean_iou"] == (2**40 + 4) / (2**41 + 4)


def test_counts_by_image_add_up_to_the_scores() -> None:
    prediction, target = random_pair(3, (5, 12, 9), ignored=0.1)
    metrics = counted((prediction, target))
    scores: Scores = metrics.compute()
    found = iou_counts(prediction, target, 3)
    for row, (name, counts) in enumerate(found.items()):
        assert counts.intersection.shape == counts.union.shape == (5, 3)
        assert torch.equal(counts.intersection.sum(0), metrics.intersection[row])
        assert torch.equal(counts.union.sum(0), metrics.union[row])
        assert counts.iou().nanmean().item() == scores[name]  # type: ignore[literal-required]
        one = iou_counts(prediction[3], target[3], 3)[name]
        assert torch.equal(one.union, counts.union[3])
    stacked = iou_counts(
        prediction[:4].view(2, 2, 12, 9), target[:4].view(2, 2, 12, 9), 3
    )
    assert stacked["mean_iou"].union.shape == (2, 2, 3)
    assert iou_counts(prediction[:0], target[:0], 3)["mean_iou"].union.shape == (0, 3)


@pytest.mark.parametrize("classes", [2, 255, 256, 300])
def test_any_number_of_classes(classes: int) -> None:
    target = torch.arange(classes).repeat_interleave(4).view(1, classes, 4)
    prediction = target.roll(1, 1)
    ignore = classes + 7
    target[0, 0, 0] = ignore
    counts = iou_counts(prediction, target, classes, ignore_index=ignore)["mean_iou"]
    assert counts.intersection.sum() == 0
    assert counts.union[0].tolist() == [7, *[8] * (classes - 2), 7]
    same = iou_counts(prediction, prediction, classes, ignore_index=ignore)
    assert same["boundary_iou"].intersection[0].tolist() == [4] * classes
