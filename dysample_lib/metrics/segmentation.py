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

from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from .boundaries import (
    band_width,
    boundary_band,
    boundary_counts,
    boundary_iou,
    ratio,
    trimap,
)
from .checks import check_band, check_classes

__all__ = [
    "Scores",
    "SegmentationMetrics",
    "band_width",
    "boundary_band",
    "boundary_iou",
    "trimap",
]


class Scores(TypedDict):
    """What :meth:`SegmentationMetrics.compute` returns; lists are in class order."""

    mean_iou: float
    boundary_iou: float
    trimap_iou: float
    class_iou: list[float]
    class_boundary_iou: list[float]
    class_trimap_iou: list[float]


def _iou(confusion: Tensor) -> Tensor:
    """IoU by class, (K,), of a confusion matrix (truth, prediction), (K, K)."""
    hits = confusion.diagonal()
    return ratio(hits, confusion.sum(0) + confusion.sum(1) - hits)


class SegmentationMetrics:
    """Mean IoU, boundary IoU and trimap IoU over a data set, batch by batch.

    >>> metrics = SegmentationMetrics(num_classes=2)
    >>> truth = torch.tensor([[[0, 0, 1, 1]]])
    >>> metrics.update(truth, truth)
    >>> metrics.compute()["mean_iou"]
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        band: int | float = 2,
        border: bool = False,
    ) -> None:
        """Start from nothing counted.

        Args:
            num_classes: K.
            ignore_index: the label in the truth of pixels that are not counted.
            band: width of the boundary bands and of the trimap to each side of a
                boundary: an integer in pixels, or a float as a share of the diagonal
                (:func:`band_width`).
            border: whether boundary IoU takes the image's edge for a contour
                (:func:`boundary_band`); the trimap never does.
        """
        check_classes(num_classes, ignore_index)
        check_band(band)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.band = band
        self.border = border
        self.reset()

    def reset(self) -> None:
        """Forget everything counted."""
        whole, near = (
            MulticlassConfusionMatrix(
                self.num_classes,
                ignore_index=self.ignore_index,
                validate_args=False,  # update() has checked, and names what is wrong
            )
            for _ in range(2)
        )
        self._whole, self._near = whole, near
        self._both = torch.zeros(self.num_classes, dtype=torch.int64)
        self._either = torch.zeros(self.num_classes, dtype=torch.int64)
        self._updates = 0

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
        both, either = boundary_counts(
            prediction,
            target,
            self.num_classes,
            band=self.band,
            ignore_index=self.ignore_index,
            border=self.border,
        )
        width = band_width(self.band, target.shape[-2], target.shape[-1])
        near = trimap(target, width, ignore_index=self.ignore_index)
        prediction, target = prediction.long(), target.long()
        self._both = self._both.to(both.device) + both
        self._either = self._either.to(either.device) + either
        self._whole.to(target.device).update(prediction, target)
        self._near.to(target.device).update(
            prediction, target.masked_fill(~near, self.ignore_index)
        )
        self._updates += 1

    def compute(self) -> Scores:
        """The scores of everything counted since the start or :meth:`reset`.

        Raises:
            RuntimeError: if nothing has been counted.
        """
        if not self._updates:
            raise RuntimeError("compute() needs at least one update() before it")
        whole = _iou(self._whole.compute())
        near = _iou(self._near.compute())
        bands = ratio(self._both, self._either)
        return {
            "mean_iou": whole.nanmean().item(),
            "boundary_iou": bands.nanmean().item(),
            "trimap_iou": near.nanmean().item(),
            "class_iou": whole.tolist(),
            "class_boundary_iou": bands.tolist(),
            "class_trimap_iou": near.tolist(),
        }
