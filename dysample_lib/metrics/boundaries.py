"""Where the boundaries of a label map are, and how well a prediction has them.

Distances are chessboard distances, ``max(|dy|, |dx|)``, in pixels. Needs torch only.
"""

from __future__ import annotations

import math
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.checks import check_positive_integer
from .checks import check_band, check_classes, check_labels, check_pair, check_plane


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


def _window_max(values: Tensor, width: int, outside: float) -> Tensor:
    """Maximum over the (2·width + 1)² window at each pixel of (…, H, W)."""
    # A wider window than the plane sees nothing more.
    width = min(width, max(values.shape[-2:]))
    size = 2 * width + 1
    planes = values.reshape(-1, 1, *values.shape[-2:]).float()
    if planes.shape[0] == 0:
        return values.float()
    planes = F.pad(planes, (width,) * 4, value=outside)
    planes = F.max_pool2d(planes, (1, size), stride=1)
    planes = F.max_pool2d(planes, (size, 1), stride=1)
    return planes.reshape(values.shape)


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
    return mask & (_window_max(other, width, outside=float(border)) > 0)


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
    labels = labels.long()  # uint8 has no -1
    valid = labels != ignore_index
    nothing = -math.inf
    values = labels.float()
    highest = _window_max(values.masked_fill(~valid, nothing), width, nothing)
    lowest = -_window_max((-values).masked_fill(~valid, nothing), width, nothing)
    return valid & (highest != lowest)


def boundary_counts(
    prediction: Tensor,
    target: Tensor,
    num_classes: int,
    *,
    band: int | float = 2,
    ignore_index: int = 255,
    border: bool = False,
) -> tuple[Tensor, Tensor]:
    """Pixels in both bands and in either band, by class: two (K,) int64 tensors.

    The arguments are those of :func:`boundary_iou`.
    """
    check_classes(num_classes, ignore_index)
    check_pair(prediction, target, num_classes, ignore_index)
    width = band_width(band, target.shape[-2], target.shape[-1])
    prediction, target = prediction.long(), target.long()  # uint8 has no -1, no 300
    valid = target != ignore_index
    both, either = [], []
    for label in range(num_classes):
        truth, guess = (
            boundary_band(labels == label, width, border=border, valid=valid)
            for labels in (target, prediction)
        )
        both.append((truth & guess).sum())
        either.append((truth | guess).sum())
    return torch.stack(both), torch.stack(either)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole`` of counts by class, float64 on the CPU; 0 / 0 is NaN."""
    return part.cpu().double() / whole.cpu()


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
    both, either = boundary_counts(
        prediction,
        target,
        num_classes,
        band=band,
        ignore_index=ignore_index,
        border=border,
    )
    return ratio(both, either).nanmean().item()
