"""Argument checks of the label maps that metrics take."""

from __future__ import annotations

from numbers import Integral, Real

import torch
from torch import Tensor

from ..ops.checks import check_positive_integer


def check_band(band: object) -> None:
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
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} has to be a tensor, got {type(value).__name__}")
    if value.dim() < 2 or 0 in value.shape[-2:]:
        raise ValueError(
            f"{name} has to have shape (…, H, W) with H, W ≥ 1, "
            f"got {tuple(value.shape)}"
        )


def check_labels(name: str, labels: object) -> None:
    check_plane(name, labels)
    assert isinstance(labels, Tensor)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"{name} has to hold integer class labels, got {labels.dtype}; "
            "the labels of logits (B, K, H, W) are logits.argmax(dim=1)"
        )


def check_pair(prediction: Tensor, target: Tensor, classes: int, ignore: int) -> None:
    for name, labels in (("prediction", prediction), ("target", target)):
        check_labels(name, labels)
    if prediction.shape != target.shape or prediction.device != target.device:
        raise ValueError(
            "prediction and target have to agree in shape and device, got "
            f"{tuple(prediction.shape)} on {prediction.device} and "
            f"{tuple(target.shape)} on {target.device}"
        )
    prediction, target = prediction.long(), target.long()  # uint8 has no -1, no 300
    wrong = (prediction < 0) | (prediction >= classes)
    if wrong.any():
        raise ValueError(
            f"prediction has to hold labels in 0…{classes - 1}, "
            f"got {prediction[wrong].unique().tolist()}"
        )
    wrong = ((target < 0) | (target >= classes)) & (target != ignore)
    if wrong.any():
        raise ValueError(
            f"target has to hold labels in 0…{classes - 1} or {ignore} (ignored), "
            f"got {target[wrong].unique().tolist()}"
        )


def check_classes(num_classes: object, ignore_index: object) -> None:
    check_positive_integer("num_classes", num_classes)
    if not isinstance(ignore_index, Integral) or 0 <= ignore_index < num_classes:  # type: ignore[operator]
        raise ValueError(
            f"ignore_index has to be an integer outside 0…{num_classes - 1}, "  # type: ignore[operator]
            f"got {ignore_index!r}"
        )
