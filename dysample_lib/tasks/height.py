"""The height of the land, read off one image: the book's monocular depth.

A height is no depth, how far something is from a camera does not come into it. It is
the same kind of problem, a continuous map from a single image, with the same metrics.

The network's one channel is the logarithm of the height, in :data:`UNIT`: equal ratios
cost the same, and no prediction is negative. The loss is Huber's over the land, a mean
over its pixels. Heights below :data:`FLOOR` count as the floor in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from ..data import HeightSet
from ..metrics.heights import NAMES, HeightMetrics
from ..testbed.nets import DensePredictionNet, evaluating
from .base import Batch, Source, Task, batches, predict_batch
from .segmentation import build_net

if TYPE_CHECKING:
    from ..study.spec import RunSpec

UNIT = 300.0
"""Metres: about the median height of the land. An output of 0 is this."""

FLOOR = 28.0
"""Metres: the step of the data, below which nothing is told apart."""

CEILING = 9000.0
"""Metres: nothing is higher, and no exponential overflows."""


class Height(Task):
    """The height of each pixel of land, by Huber's loss of its logarithm."""

    name = "height"
    dataset = "height"
    kind = HeightSet
    metrics = NAMES
    encoder = "efficientnet_lite0"

    def build(
        self, spec: RunSpec, data: HeightSet, *, pretrained: bool = True
    ) -> DensePredictionNet:
        """The testbed with one output channel."""
        return build_net(spec, 1, pretrained)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean Huber loss of the logarithm over the land; 0 where there is none."""
        land = batch.targets.isfinite()
        target = (batch.targets[land].clamp(min=FLOOR) / UNIT).log()
        output = predict_batch(model, batch)[:, 0].float()[land]
        return F.huber_loss(output, target, reduction="sum") / max(1, len(target))

    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """RMSE and MAE in metres, log10 error, and δ < 1.25 as a share."""
        metrics = HeightMetrics(FLOOR)
        with evaluating(model):
            for batch in batches(source):
                output = predict_batch(model, batch)[:, 0]
                metrics.update(heights(output).cpu(), batch.targets.cpu())
        return metrics.compute()


def heights(output: Tensor) -> Tensor:
    """Metres from the network's output, of any shape."""
    return (UNIT * output.double().exp()).clamp(max=CEILING).float()
