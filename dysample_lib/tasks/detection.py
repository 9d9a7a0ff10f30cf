"""Objects: a box for each (``detection``), and a mask in it (``instance``).

torchvision's Faster R-CNN and Mask R-CNN on a pyramid whose upsamplers are what is
compared; see :mod:`dysample_lib.testbed.detectors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..data import DetectionSet
from ..metrics.objects import ObjectMetrics, names
from ..testbed.nets import evaluating
from .base import Batch, Source, Splits, Task, net_options, predict_batch

if TYPE_CHECKING:
    from ..study.spec import RunSpec
    from ..testbed.detectors import DetectionNet, Detections


class Frame(NamedTuple):
    """How large a set's objects come to the network.

    Attributes:
        enlarge: the factor on its images.
        anchor: side of the finest level's anchors, in its pixels.
    """

    enlarge: int = 1
    anchor: int = 8


FRAMES = {"islands": Frame(enlarge=2, anchor=3)}
"""By data set.

Half of the islands are no larger than 5 × 5 pixels: with anchors of 2, a third of them
would meet none at an IoU of ½; with anchors of 3 it is one in ten.
"""


class Detection(Task):
    """A box and a class for each object, by Faster R-CNN's losses."""

    name = "detection"
    dataset = "islands"
    kind = DetectionSet
    metrics = names("box")
    encoder = "efficientnet_lite0"
    decoders = ("fpn",)
    packages: tuple[str, ...] = ("torchvision", "pycocotools")
    kinds: tuple[str, ...] = ("box",)

    def load(self, spec: RunSpec, root: Path | str | None = None) -> Splits:
        """See :meth:`.Task.load`.

        Raises:
            ValueError: also for a set that lacks what is needed: see :meth:`refuse`.
        """
        splits = super().load(spec, root)
        self.refuse(splits.train, spec)
        return splits

    def refuse(self, data: DetectionSet, spec: RunSpec) -> None:
        """Raise if the images of ``data`` differ in size."""
        if not isinstance(data.images, Tensor):
            raise ValueError(
                f"dataset_options of {spec.dataset} has to hold size=(height, width), "
                "as its images differ in theirs and are batched, got "
                f"{spec.dataset_options}"
            )

    def build(
        self, spec: RunSpec, data: DetectionSet, *, pretrained: bool = True
    ) -> DetectionNet:
        """The detector of the classes of ``data``."""
        return self._net(spec, data, pretrained, masks="mask" in self.kinds)

    def _net(
        self, spec: RunSpec, data: DetectionSet, pretrained: bool, **options: Any
    ) -> DetectionNet:
        # What is learned by pixel does without torchvision.
        from ..testbed.detectors import DetectionNet

        return DetectionNet(
            len(data.classes),
            **net_options(spec, pretrained),
            **FRAMES.get(spec.dataset, Frame())._asdict(),
            **options,
        )

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The sum of the detector's losses."""
        levels = batch.inputs
        if not isinstance(levels, list):
            levels = model.encode(levels)  # type: ignore[operator]
        losses = model.losses(  # type: ignore[operator]
            levels, batch.size, batch.targets, batch.data.ignore_index
        )
        return torch.stack(list(losses.values())).sum()

    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """Average precision of boxes, and of masks where there are any."""
        metrics = ObjectMetrics(*self.kinds)
        with evaluating(model):
            for found, truth in detections(model, source):
                metrics.update(found, truth)
        return metrics.compute()

    def upsamplers(self, model: nn.Module) -> Iterable[nn.Module]:
        """Those of the pyramid, and of the semantic branch where there is one."""
        upsamplers: Iterable[nn.Module] = model.upsamplers  # type: ignore[assignment]
        return upsamplers


class Instance(Detection):
    """A box, a class and a mask for each object, by Mask R-CNN's losses."""

    name = "instance"
    metrics = names("mask", "box")
    kinds = ("mask", "box")


def detections(
    model: nn.Module, source: Source, batch_size: int = 8
) -> Iterator[tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]]:
    """What ``model`` finds and all that there is, some images at a time, on the CPU."""
    for index in torch.arange(len(source)).split(batch_size):
        found = predict_batch(model, source.batch(index, {}))
        _, truth = source.data.batch(index, everything=True)
        yield _on_cpu(found), _on_cpu(truth)


def _on_cpu(several: Detections) -> Detections:
    return [{name: value.cpu() for name, value in one.items()} for one in several]
