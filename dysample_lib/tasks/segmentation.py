"""Predict and evaluate: what a trained network is worth on a data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.base import SegmentationSet
from ..metrics.segmentation import SegmentationMetrics
from ..ops.devices import default_device


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Tensor,
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the label maps (N, H, W), uint8 on the CPU, of images (N, 3, H, W)."""
    where = torch.device(device) if device is not None else default_device()
    training = model.training
    model.to(where).eval()
    labels = [
        model(batch.to(where)).argmax(1).to("cpu", torch.uint8)
        for batch in images.split(batch_size)
    ]
    model.train(training)
    return torch.cat(labels)


def evaluate(
    model: nn.Module,
    data: SegmentationSet,
    *,
    band: int | float = 2,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Measure ``model`` on ``data``: mean, boundary and trimap IoU, in [0, 1]."""
    metrics = SegmentationMetrics(
        len(data.classes), ignore_index=data.ignore_index, band=band
    )
    where = torch.device(device) if device is not None else default_device()
    labels = predict(model, data.images, device=where)
    for predicted, truth in zip(labels.split(64), data.masks.split(64), strict=True):
        metrics.update(predicted.to(where), truth.to(where))
    return {k: v for k, v in metrics.compute().items() if isinstance(v, float)}
