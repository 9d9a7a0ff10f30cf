"""Argument checks of the label maps that metrics take."""

from __future__ import annotations

from numbers import Integral, Real

import torch
from torch import Tensor

from ..ops.checks import check_positive_integer


def check_band(band: object) -> None:
    """Refuse what is no band: pixels as an integer, or a share of the diagonal."""
    wanted = (
        "band has to be an integer ≥ 1 (pixels) or a float between 0 and 1 "
        "(share of the image diagonal)"
    )
    if not isinstance(band, Real) or isinstance(band, bool):
        raise TypeError(f"{wanted}, got {band!r} ({type(band).__name__})")
    size = float(band)
    if not (size >= 1 if isinstance(band, Integral) else 0 < size < 1):
        raise ValueError(f"{wanted}, got {band!r}")


def check_plane(name: str, value: object) -> None:
    """Refuse what is no tensor of shape (…, H, W)."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} has to be a tensor, got {type(value).__name__}")
    if value.dim() < 2 or 0 in value.shape[-2:]:
        raise ValueError(
            f"{name} has to have shape (…, H, W) with H, W ≥ 1, "
            f"got {tuple(value.shape)}"
        )


def check_labels(name: str, labels: object) -> None:
    """Refuse what is no map of integer labels."""
    check_plane(name, labels)
    assert isinstance(labels, Tensor)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"{name} has to hold integer class labels, got {labels.dtype}; "
            "the labels of logits (B, K, H, W) are logits.argmax(dim=1)"
        )


def check_pair(prediction: Tensor, target: Tensor, classes: int, ignore: int) -> None:
    """Refuse maps that differ in shape or device, or that hold other labels."""
    for name, labels in (("prediction", prediction), ("target", target)):
        check_labels(name, labels)
    if prediction.shape != target.shape or prediction.device != target.device:
        raise ValueError(
            "prediction and target have to agree in shape and device, got "
            f"{tuple(prediction.shape)} on {prediction.device} and "
            f"{tuple(target.shape)} on {target.device}"
        )
    prediction, target = comparable(prediction), comparable(target)
    _check_range("prediction", prediction, f"0…{classes - 1}", classes)
    target = target.masked_fill(is_ignored(target, ignore), 0)
    wanted = f"0…{classes - 1} or {ignore} (ignored)"
    _check_range("target", target, wanted, classes)


def _check_range(name: str, labels: Tensor, wanted: str, classes: int) -> None:
    if not labels.numel() or 0 <= int(labels.min()) <= int(labels.max()) < classes:
        return
    labels = labels.long().unique()
    wrong = labels[(labels < 0) | (labels >= classes)].tolist()
    raise ValueError(f"{name} has to hold labels in {wanted}, got {wrong}")


def comparable(labels: Tensor) -> Tensor:
    """``labels`` in a type that torch can take minima of."""
    unsigned = (torch.uint16, torch.uint32, torch.uint64)
    return labels.long() if labels.dtype in unsigned else labels


def is_ignored(labels: Tensor, ignore_index: int) -> Tensor:
    """Where ``labels`` are ``ignore_index``; uint8 has no -1, which 255 would equal."""
    kind = torch.iinfo(labels.dtype)
    if not kind.min <= ignore_index <= kind.max:
        return torch.zeros_like(labels, dtype=torch.bool)
    return labels == ignore_index


def check_classes(num_classes: object, ignore_index: object) -> None:
    """Refuse a number of classes below 1 and an ignored label among them."""
    check_positive_integer("num_classes", num_classes)
    if not isinstance(ignore_index, Integral) or 0 <= ignore_index < num_classes:  # type: ignore[operator]
        raise ValueError(
            f"ignore_index has to be an integer outside 0…{num_classes - 1}, "  # type: ignore[operator]
            f"got {ignore_index!r}"
        )
