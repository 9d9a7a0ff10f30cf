"""Semantic segmentation: a class for each pixel; mean, boundary and trimap IoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import SegmentationSet
from ..metrics.segmentation import SegmentationMetrics
from ..ops.devices import default_device
from ..testbed.nets import DensePredictionNet, evaluating
from .base import Batch, Images, Source, Task, batches, net_options, predict_batch

if TYPE_CHECKING:
    from ..study.spec import RunSpec


class Segmentation(Task):
    """A class for each pixel, by cross-entropy."""

    name = "segmentation"
    dataset = "coastlines"
    kind = SegmentationSet
    metrics = ("boundary_iou", "mean_iou", "trimap_iou")

    def build(
        self, spec: RunSpec, data: SegmentationSet, *, pretrained: bool = True
    ) -> DensePredictionNet:
        """The testbed with one output channel for each class."""
        return build_net(spec, len(data.classes), pretrained)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy over the pixels that have a label."""
        logits = predict_batch(model, batch)
        return F.cross_entropy(
            logits.float(),
            batch.targets.long(),
            ignore_index=batch.data.ignore_index,
        )

    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """The three kinds of IoU, shares in [0, 1]."""
        return measure(model, source, spec.band)


def build_net(
    spec: RunSpec, out_channels: int, pretrained: bool = True
) -> DensePredictionNet:
    """The testbed that ``spec`` describes."""
    return DensePredictionNet(
        out_channels, decoder=spec.decoder, **net_options(spec, pretrained)
    )


def measure(model: nn.Module, source: Source, band: int | float) -> dict[str, float]:
    """Mean, boundary and trimap IoU of ``model`` on ``source``, in [0, 1]."""
    data: SegmentationSet = source.data
    metrics = SegmentationMetrics(
        len(data.classes), ignore_index=data.ignore_index, band=band
    )
    with evaluating(model):
        for batch in batches(source):
            metrics.update(predict_batch(model, batch).argmax(1), batch.targets)
    return {k: v for k, v in metrics.compute().items() if isinstance(v, float)}


def predict(
    model: nn.Module,
    images: Tensor,
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the label maps (N, H, W), uint8 on the CPU, of images (N, 3, H, W).

    ``model`` goes to ``device``; its modes and what is frozen in it stay.
    """
    where = torch.device(device) if device is not None else default_device()
    model.to(where)
    with evaluating(model):
        labels = [
            model(batch.to(where)).argmax(1).to("cpu", torch.uint8)
            for batch in images.split(batch_size)
        ]
    return torch.cat(labels)


def evaluate(
    model: nn.Module,
    data: SegmentationSet,
    *,
    band: int | float = 2,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Measure ``model`` on ``data``: mean, boundary and trimap IoU, in [0, 1]."""
    where = torch.device(device) if device is not None else default_device()
    return measure(model.to(where), Images(data, where), band)
