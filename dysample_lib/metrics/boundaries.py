"""Where the boundaries of a label map are, and how well a prediction has them.

Distances are chessboard distances, ``max(|dy|, |dx|)``, in pixels. Needs torch only.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from ..ops.checks import check_positive_integer
from .checks import (
    check_band,
    check_classes,
    check_labels,
    check_pair,
    check_plane,
    comparable,
    is_ignored,
)


def band_width(band: int | float, height: int, width: int) -> int:
    """The band's width in pixels on images of ``height`` × ``width``.

    Args:
        band: an integer is a width in pixels; a float is a share of the diagonal
            (Cheng et al. take 0.02), rounded to whole pixels, at least 1.
        height: H.
        width: W.

    >>> band_width(2, 96, 96), band_width(0.02, 96, 96), band_width(0.02, 9, 9)
    (2, 3, 1)
    """
    check_band(band)
    check_positive_integer("height", height)
    check_positive_integer("width", width)
    if isinstance(band, Integral):
        return int(band)
    return max(1, round(float(band) * math.hypot(height, width)))


def _window_max(values: Tensor, width: int) -> Tensor:
    """Maximum over the window of (2·width + 1)² pixels around each of (…, H, W).

    A window ends where the plane ends.
    """
    for axis in (-2, -1):
        length = values.shape[axis]
        reached = 0
        # Maxima of windows that overlap are those of a wider one: from 0 the half
        # width goes to 1, 3, 7, … A step of more than reached + 1 would leave a gap.
        while reached < min(width, length - 1):
            step = min(reached + 1, width - reached, length - 1 - reached)
            before = values.narrow(axis, 0, length - step)
            after = values.narrow(axis, step, length - step)
            values = values.clone()
            for here, there in (
                (values.narrow(axis, step, length - step), before),
                (values.narrow(axis, 0, length - step), after),
            ):
                torch.maximum(here, there, out=here)
            reached += step
    return values


def _near_another(labels: Tensor, width: int, known: Tensor) -> Tensor:
    """Known pixels with a known pixel of another label in the window around them."""
    least = torch.iinfo(labels.dtype).min
    highest = _window_max(labels.masked_fill(~known, least), width)
    # ~ turns the order of integers of any kind around: the maximum is the minimum.
    lowest = ~_window_max((~labels).masked_fill(~known, least), width)
    return known & (highest != lowest)


def _edge(plane: Tensor, width: int) -> Tensor:
    """(H, W), bool: the pixels of ``plane`` (…, H, W) from which its end is near."""
    edge = torch.ones(plane.shape[-2:], dtype=torch.bool, device=plane.device)
    edge[width:-width, width:-width] = False
    return edge


def boundary_band(
    mask: Tensor, width: int, *, border: bool = False, valid: Tensor | None = None
) -> Tensor:
    """The pixels of ``mask`` within ``width`` of its contour: G_d ∩ G of Cheng et al.

    That is the mask without its erosion by a square of side 2·width + 1, which
    equals ``width`` erosions by a 3×3 square, as their reference implementation has
    it.

    Args:
        mask: (…, H, W), bool.
        width: d, in pixels; 1 keeps the outermost ring.
        border: whether the mask also ends where the image ends. The reference
            implementation says yes; here the default is no, because a tile is cut
            from a larger world: nothing ends at its edge, and truth and prediction
            that both run into it would agree there without merit.
        valid: (…, H, W), bool; False where it is unknown what a pixel is. Such
            pixels neither belong to the band nor make a contour.

    Returns:
        (…, H, W), bool.
    """
    check_plane("mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask has to be bool, got {mask.dtype}")
    check_positive_integer("width", width)
    other = ~mask
    if valid is not None:
        if valid.shape != mask.shape or valid.dtype != torch.bool:
            raise ValueError(
                f"valid has to be bool of mask's shape {tuple(mask.shape)}, "
                f"got {valid.dtype} {tuple(valid.shape)}"
            )
        mask, other = mask & valid, other & valid
    near = _window_max(other, width)
    return mask & (near | _edge(mask, width) if border else near)


def trimap(labels: Tensor, width: int, *, ignore_index: int = 255) -> Tensor:
    """The pixels within ``width`` of a boundary between two classes, on both sides.

    A pixel is in the trimap if a pixel of another class is at most ``width`` rows and
    ``width`` columns away. The image's edge and ignored pixels are no boundary.

    Args:
        labels: (…, H, W), integer.
        width: in pixels; 1 keeps the pixels that touch another class (8 neighbours).
        ignore_index: the label of unknown pixels, which are never in the trimap.

    Returns:
        (…, H, W), bool.
    """
    check_labels("labels", labels)
    check_positive_integer("width", width)
    labels = comparable(labels)
    return _near_another(labels, width, ~is_ignored(labels, ignore_index))


class Counts(NamedTuple):
    """Pixels by image and class, two (…, K) of int64.

    Attributes:
        intersection: what truth and prediction both have.
        union: what either has.
    """

    intersection: Tensor
    union: Tensor

    def total(self) -> Counts:
        """Over all images: (K,) each."""
        return Counts(*(count.reshape(-1, count.shape[-1]).sum(0) for count in self))

    def iou(self) -> Tensor:
        """IoU by class, (K,), over all images; float64 on the CPU; 0 / 0 is NaN."""
        intersection, union = self.total()
        return intersection.cpu().double() / union.cpu()


def _by_class(labels: Tensor, where: Tensor, num_classes: int) -> Tensor:
    """How many of the pixels ``where`` have each label: (…, H, W) to (…, K)."""
    *batch, height, width = labels.shape
    labels = labels.masked_fill(~where, num_classes)
    counts = [
        torch.bincount(image, minlength=num_classes + 1)[:num_classes]
        for image in labels.reshape(math.prod(batch), height * width)
    ]
    nothing = torch.zeros(0, num_classes, dtype=torch.int64, device=labels.device)
    return (torch.stack(counts) if counts else nothing).reshape(*batch, num_classes)


def iou_counts(
    prediction: Tensor,
    target: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    band: int | float = 2,
    border: bool = False,
) -> dict[str, Counts]:
    """What mean, boundary and trimap IoU are made of, image by image.

    Sums over images give the IoU of a data set; the images themselves are what
    ``dysample_lib.study.intervals.bootstrap_over_images`` draws from.

    Args:
        prediction: (…, H, W), integer labels in 0…num_classes - 1.
        target: (…, H, W), integer labels, or ``ignore_index``.
        num_classes: K.
        ignore_index: the label of unknown pixels.
        band: see :func:`band_width`.
        border: see :func:`boundary_band`; the trimap has no border.

    Returns:
        ``mean_iou``, ``boundary_iou`` and ``trimap_iou``, :class:`Counts` each.

    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_classes(num_classes, ignore_index)
    check_pair(prediction, target, num_classes, ignore_index)
    width = band_width(band, target.shape[-2], target.shape[-1])
    prediction, target = comparable(prediction), comparable(target)
    known = ~is_ignored(target, ignore_index)
    # All labels are below num_classes now, and the narrowest numbers are the fastest.
    narrow = torch.uint8 if num_classes < 256 else torch.int32
    truth, guess = target.masked_fill(~known, 0).to(narrow), prediction.to(narrow)
    hit = truth == guess
    near = _near_another(truth, width, known)
    # A pixel is in its own class's band if another class is near, whichever it is.
    bands = [near, _near_another(guess, width, known)]
    if border:
        edge = known & _edge(target, width)
        bands = [band | edge for band in bands]

    def counts(in_truth: Tensor, in_guess: Tensor) -> Counts:
        both = _by_class(truth, in_truth & in_guess & hit, num_classes)
        each = _by_class(truth, in_truth, num_classes)
        each = each + _by_class(guess, in_guess, num_classes)
        return Counts(both, each - both)

    return {
        "mean_iou": counts(known, known),
        "boundary_iou": counts(*bands),
        "trimap_iou": counts(near, near),
    }


def boundary_iou(
    prediction: Tensor,
    target: Tensor,
    num_classes: int,
    *,
    band: int | float = 2,
    ignore_index: int = 255,
    border: bool = False,
) -> float:
    """Boundary IoU of Cheng et al. 2021, mean over the classes that have a contour.

    For a class with true mask G and predicted mask P, with G_d ∩ G and P_d ∩ P the
    pixels of each within d of its own contour (:func:`boundary_band`)::

        |(G_d ∩ G) ∩ (P_d ∩ P)| / |(G_d ∩ G) ∪ (P_d ∩ P)|

    Args:
        prediction: (…, H, W), integer labels in 0…num_classes - 1.
        target: (…, H, W), integer labels, or ``ignore_index``.
        num_classes: K.
        band: d, see :func:`band_width`. Cheng et al. take 0.02 of the diagonal.
        ignore_index: the label of unknown pixels.
        border: whether the image's edge counts as contour, as in the reference
            implementation; why not by default: :func:`boundary_band`.

    Returns:
        The mean; NaN if there is no contour at all.

    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    counts = iou_counts(
        prediction,
        target,
        num_classes,
        band=band,
        ignore_index=ignore_index,
        border=border,
    )
    return counts["boundary_iou"].iou().nanmean().item()
