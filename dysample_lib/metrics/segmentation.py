"""How good a label map is: overall, and along the boundaries.

Three numbers, all in [0, 1], all counted over a whole data set before anything is
divided, so they do not depend on how it was cut into batches:

- ``mean_iou``: intersection over union of each class, mean over the classes;
- ``boundary_iou``: the same between the inner bands along the contours of truth and
  prediction (Cheng et al., "Boundary IoU", CVPR 2021);
- ``trimap_iou``: mean IoU over the pixels near a true boundary (Kohli et al., IJCV
  2009; Krähenbühl & Koltun, NeurIPS 2011).

A class that neither truth nor prediction has (for ``boundary_iou``: of which neither
has a contour) has no IoU: it is NaN in the lists and left out of the means. Ignored
pixels are unknown: they are not counted and make no contour, whatever is predicted
there. Bands and distances: :mod:`dysample_lib.metrics.boundaries`.
"""

from __future__ import annotations

from typing import Any, TypedDict

import torch
from torch import Tensor
from torchmetrics import Metric

from .boundaries import (
    Counts,
    band_width,
    boundary_band,
    boundary_iou,
    iou_counts,
    trimap,
)
from .checks import check_band, check_classes, check_pair

__all__ = [
    "Scores",
    "SegmentationMetrics",
    "band_width",
    "boundary_band",
    "boundary_iou",
    "iou_counts",
    "trimap",
]

SHARES = ("mean_iou", "boundary_iou", "trimap_iou")


class Scores(TypedDict):
    """What :meth:`SegmentationMetrics.compute` returns; lists are in class order."""

    mean_iou: float
    boundary_iou: float
    trimap_iou: float
    class_iou: list[float]
    class_boundary_iou: list[float]
    class_trimap_iou: list[float]


class SegmentationMetrics(Metric):
    """Mean IoU, boundary IoU and trimap IoU over a data set, batch by batch.

    >>> metrics = SegmentationMetrics(num_classes=2)
    >>> truth = torch.tensor([[[0, 0, 1, 1]]])
    >>> metrics.update(truth, truth)
    >>> metrics.compute()["mean_iou"]
    1.0

    A :class:`torchmetrics.Metric`: calling it counts a batch and returns the scores of
    that batch alone; it moves with ``to``, is saved, copied and merged, and its counts
    are summed over processes. Batches may lie on another device than the metric.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    intersection: Tensor
    union: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        band: int | float = 2,
        border: bool = False,
        **options: Any,
    ) -> None:
        """Start from nothing counted.

        Args:
            num_classes: K.
            ignore_index: the label in the truth of pixels that are not counted.
            band: width of the boundary bands and of the trimap to each side of a
                boundary: an integer in pixels, or a float as a share of the diagonal
                (:func:`.band_width`).
            border: whether boundary IoU takes the image's edge for a contour
                (:func:`.boundary_band`); the trimap never does.
            options: those of :class:`torchmetrics.Metric`.
        """
        check_classes(num_classes, ignore_index)
        check_band(band)
        super().__init__(**options)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.band = band
        self.border = border
        for name in ("intersection", "union"):  # a row each: mean, boundary, trimap
            nothing = torch.zeros(len(SHARES), num_classes, dtype=torch.int64)
            self.add_state(name, default=nothing, dist_reduce_fx="sum")

    def forward(self, prediction: Tensor, target: Tensor) -> Scores:
        """Count a batch and return its own scores: :meth:`update` has the arguments."""
        # What is counted so far is set aside meanwhile; an error would leave it there.
        check_pair(prediction, target, self.num_classes, self.ignore_index)
        return super().forward(prediction, target)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: (B, H, W), integer labels in 0…K - 1; of logits (B, K, H, W)
                that is ``logits.argmax(dim=1)``.
            target: (B, H, W), integer labels in 0…K - 1 or ``ignore_index``, on the
                same device.

        Raises:
            TypeError, ValueError: naming the argument that does not fit; nothing has
                been counted then.
        """
        counts = iou_counts(
            prediction,
            target,
            self.num_classes,
            ignore_index=self.ignore_index,
            band=self.band,
            border=self.border,
        )
        totals = [counts[name].total() for name in SHARES]
        intersection, union = (
            torch.stack(parts).to(self.device) for parts in zip(*totals, strict=True)
        )
        self.intersection = self.intersection + intersection
        self.union = self.union + union

    def compute(self) -> Scores:
        """The scores of everything counted since the start or ``reset``.

        All are NaN, with a warning, before the first batch.
        """
        mean, boundary, trimap = (
            Counts(*counts).iou()
            for counts in zip(self.intersection, self.union, strict=True)
        )
        return {
            "mean_iou": mean.nanmean().item(),
            "boundary_iou": boundary.nanmean().item(),
            "trimap_iou": trimap.nanmean().item(),
            "class_iou": mean.tolist(),
            "class_boundary_iou": boundary.tolist(),
            "class_trimap_iou": trimap.tolist(),
        }
