"""What ``grid_sample`` does, from gathered neighbours and in a fixed order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gather(features: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read ``features`` at points given relative to the centre of their own pixel.

    The four neighbours of a point are rows of an embedding, whose backward pass adds
    the gradients of one row in a fixed order: torch goes through them one by one on a
    CPU and sorts them first on CUDA. Absolute coordinates never occur, only whole
    steps and a fraction, so that there is no loss of precision on wide maps.

    Args:
        features: the maps.
        x: columns from the pixel's own to the point, positive to the right.
        y: rows, positive downwards.

    Shape:
        * features: (B, C, H, W)
        * x, y: (B, g, H, s, W, s), of the same dtype
        * returns: (B, C, s·H, s·W)
    """
    batch, channels, height, width = features.shape
    groups, scale = x.shape[1], x.shape[3]
    left, top = x.detach().floor(), y.detach().floor()
    a, b = x - left, y - top

    def indices(steps: Tensor, size: int, shape: tuple[int, ...]) -> list[Tensor]:
        pixels = torch.arange(size, device=steps.device).view(shape)
        near = steps.clamp(-size, size).long() + pixels
        return [near.clamp(0, size - 1), (near + 1).clamp(0, size - 1)]

    columns = indices(left, width, (width, 1))
    rows = indices(top, height, (height, 1, 1, 1))
    # One row of the table for each pixel of each group.
    table = features.reshape(batch * groups, channels // groups, height * width)
    table = table.transpose(1, 2).reshape(-1, channels // groups)
    maps = torch.arange(batch * groups, device=features.device)
    start = (maps * (height * width)).view(batch, groups, 1, 1, 1, 1)
    sampled = None
    for row, weight_y in zip(rows, (1 - b, b), strict=True):
        for column, weight_x in zip(columns, (1 - a, a), strict=True):
            part = F.embedding(start + row * width + column, table)
            part = part * (weight_y * weight_x).unsqueeze(-1)
            sampled = part if sampled is None else sampled + part
    assert sampled is not None
    sampled = sampled.permute(0, 1, 6, 2, 3, 4, 5)  # (B, g, C / g, H, s, W, s)
    return sampled.reshape(batch, channels, scale * height, scale * width)
