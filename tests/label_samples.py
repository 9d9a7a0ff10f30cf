"""Label maps that several tests measure, and the nested loops they are held to."""

from __future__ import annotations

import torch
from torch import Tensor

IGNORE = 255


def square(top: int, left: int, side: int = 6, size: int = 12) -> Tensor:
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[:, top : top + side, left : left + side] = 1
    return labels


def random_pair(
    classes: int, shape: tuple[int, ...], ignored: float = 0.0
) -> tuple[Tensor, Tensor]:
    # Blocks of 2 × 2 pixels, so that masks have an inside.
    coarse = torch.randint(classes, (shape[0], shape[1] // 2 + 1, shape[2] // 2 + 1))
    target = coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)
    target = target[:, : shape[1], : shape[2]].clone()
    prediction = target.clone()
    flipped = torch.rand(shape) < 0.2
    prediction[flipped] = torch.randint(classes, shape)[flipped]
    target[torch.rand(shape) < ignored] = IGNORE
    return prediction, target


def loop_band(
    labels: Tensor, label: int, width: int, border: bool, known: Tensor
) -> set[tuple[int, int]]:
    """Pixels of ``label`` with a known pixel of another class within ``width``."""
    height, length = labels.shape
    band = set()
    for y in range(height):
        for x in range(length):
            if not known[y, x] or labels[y, x] != label:
                continue
            for dy in range(-width, width + 1):
                for dx in range(-width, width + 1):
                    v, u = y + dy, x + dx
                    if not (0 <= v < height and 0 <= u < length):
                        near_end = border
                    else:
                        near_end = bool(known[v, u] and labels[v, u] != label)
                    if near_end:
                        band.add((y, x))
    return band
