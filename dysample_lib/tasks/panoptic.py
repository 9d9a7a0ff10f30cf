"""Panoptic segmentation: every pixel explained, and what is counted told apart.

Panoptic FPN (Kirillov et al., CVPR 2019): Mask R-CNN and a semantic branch on one
pyramid. What is compared sits in the pyramid and in the branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..data import DetectionSet
from ..metrics.panoptic import NAMES, PanopticMetrics, merge, truth_map
from ..testbed.nets import evaluating
from .base import Source
from .detection import Detection, detections

if TYPE_CHECKING:
    from ..study.spec import RunSpec
    from ..testbed.detectors import DetectionNet


class Panoptic(Detection):
    """Things by Mask R-CNN, stuff by a semantic branch, merged into one map."""

    name = "panoptic"
    metrics = NAMES
    packages = ("torchvision",)

    def refuse(self, data: DetectionSet, spec: RunSpec) -> None:
        """Raise also if ``data`` says nothing of what lies between its objects."""
        if data.semantics is None:
            raise ValueError(
                "dataset has to be one for panoptic, with a class for every pixel, "
                f"such as islands, got {spec.dataset!r}, which has objects alone"
            )
        super().refuse(data, spec)

    def build(
        self, spec: RunSpec, data: DetectionSet, *, pretrained: bool = True
    ) -> DetectionNet:
        """Panoptic FPN of the classes of ``data``, all things one semantic class."""
        semantics = len(data.stuff) + 1
        return self._net(spec, data, pretrained, masks=True, semantics=semantics)

    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """Panoptic, segmentation and recognition quality."""
        data: DetectionSet = source.data
        stuff = len(data.stuff)
        metrics = PanopticMetrics(stuff, len(data.classes) - 1)
        with evaluating(model):
            for found, truth in detections(model, source):
                metrics.update(
                    torch.stack([merge(one, stuff) for one in found]),
                    torch.stack([truth_map(one, data.ignore_index) for one in truth]),
                )
        return metrics.compute()
