"""The metrics against nested loops written from their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from label_samples import IGNORE, loop_band, random_pair
from torch import Tensor

from dysample_lib.metrics.boundaries import boundary_iou, trimap
from dysample_lib.metrics.segmentation import Scores, SegmentationMetrics


def loop_boundary_iou(
    predictions: Tensor, targets: Tensor, classes: int, width: int, border: bool
) -> float:
    intersection, union = [0] * classes, [0] * classes
    for prediction, target in zip(predictions, targets, strict=True):
        known = target != IGNORE
        for label in range(classes):
            truth = loop_band(target, label, width, border, known)
            guess = loop_band(prediction, label, width, border, known)
            intersection[label] += len(truth & guess)
            union[label] += len(truth | guess)
    ratios = [i / u for i, u in zip(intersection, union, strict=True) if u]
    return sum(ratios) / len(ratios) if ratios else math.nan


def confusion_mean_iou(prediction: Tensor, target: Tensor, classes: int) -> float:
    table = [[0] * classes for _ in range(classes)]
    for guess, truth in zip(
        prediction.flatten().tolist(), target.flatten().tolist(), strict=True
    ):
        if truth != IGNORE:
            table[truth][guess] += 1
    ious = []
    for label in range(classes):
        hit = table[label][label]
        union = sum(table[label]) + sum(row[label] for row in table) - hit
        if union:
            ious.append(hit / union)
    return sum(ious) / len(ious) if ious else math.nan


def measure(
    prediction: Tensor, target: Tensor, classes: int = 2, **options: object
) -> Scores:
    metrics = SegmentationMetrics(classes, **options)  # type: ignore[arg-type]
    metrics.update(prediction, target)
    return metrics.compute()


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("ignored", [0.0, 0.15])
def test_agrees_with_nested_loops(width: int, border: bool, ignored: float) -> None:
    prediction, target = random_pair(3, (2, 9, 7), ignored)
    expected = loop_boundary_iou(prediction, target, 3, width, border)
    found = boundary_iou(prediction, target, 3, band=width, border=border)
    assert found == pytest.approx(expected, abs=1e-12)
    scores = measure(prediction, target, 3, band=width, border=border)
    assert scores["boundary_iou"] == found
    assert scores["mean_iou"] == pytest.approx(
        confusion_mean_iou(prediction, target, 3), abs=1e-12
    )
    near = torch.full_like(target, IGNORE)
    for index, labels in enumerate(target):
        for label in range(3):
            for y, x in loop_band(labels, label, width, False, labels != IGNORE):
                near[index, y, x] = label
    assert torch.equal(trimap(target, width), near != IGNORE)
    assert scores["trimap_iou"] == pytest.approx(
        confusion_mean_iou(prediction, near, 3), abs=1e-12
    )
