"""What ``grid_sample`` does, from gathered neighbours and in a fixed order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gather(features: Tensor, points: Tensor, start: Tensor, reach: float) -> Tensor:
    """Read ``features`` at points given relative to the centre of their own pixel.

    The four neighbours of a point are rows of an embedding, added up with their
    weights; its backward pass sorts the rows first and so adds the gradients of each
    in a fixed order. Absolute coordinates never occur, only whole steps and a fraction,
    so that there is no loss of precision on wide maps.

    Args:
        features: the maps.
        points: how far each point moves, in pixels.
        start: where the points of one pixel start on each axis, from its centre.
        reach: a factor on ``points``.

    Shape:
        * features: (B, C, H, W)
        * points: (B, 2, g, s, s, H, W), of the same dtype
        * start: (s,), of the same dtype
        * returns: (B, C, s·H, s·W)
    """
    batch, channels, height, width = features.shape
    groups, scale = points.shape[2:4]
    x, y = points.permute(1, 0, 2, 5, 3, 6, 4).unbind(0)  # (B, g, H, s, W, s)
    x = torch.add(start, x, alpha=reach)
    y = torch.add(start.view(scale, 1, 1), y, alpha=reach)
    left, top = x.detach().floor(), y.detach().floor()
    a, b = x - left, y - top

    def indices(steps: Tensor, size: int, shape: tuple[int, ...]) -> list[Tensor]:
        pixels = torch.arange(size, device=steps.device).view(shape)
        near = steps.clamp(-size, size).long() + pixels
        return [near.clamp(0, size - 1), (near + 1).clamp(0, size - 1)]

    columns = indices(left, width, (width, 1))
    rows = indices(top, height, (height, 1, 1, 1))
    # One row of the table for each pixel of each group, and four rows to a bag.
    table = features.reshape(batch * groups, channels // groups, height * width)
    table = table.transpose(1, 2).reshape(-1, channels // groups)
    maps = torch.arange(batch * groups, device=features.device)
    first = (maps * (height * width)).view(batch, groups, 1, 1, 1, 1)
    bags = [first + row * width + column for row in rows for column in columns]
    weights = [v * h for v in (1 - b, b) for h in (1 - a, a)]
    sampled = F.embedding_bag(
        torch.stack(bags, -1).view(-1, 4),
        table,
        per_sample_weights=torch.stack(weights, -1).view(-1, 4),
        mode="sum",
    )
    sampled = sampled.view(
        batch, groups, height, scale, width, scale, channels // groups
    )
    sampled = sampled.permute(0, 1, 6, 2, 3, 4, 5)  # (B, g, C / g, H, s, W, s)
    return sampled.reshape(batch, channels, scale * height, scale * width)
