"""The coordinates that ``grid_sample`` takes, in as few passes as there can be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def steps(
    scale: int, mode: str | None, dtype: torch.dtype, device: torch.device | str | None
) -> Tensor:
    """Where the points of one pixel start on one axis, from its left edge, (s,).

    ``"bilinear"`` spreads them evenly; else all are at the centre.
    """
    if mode == "bilinear":
        return (torch.arange(scale, dtype=dtype, device=device) + 0.5) / scale
    return torch.full((scale,), 0.5, dtype=dtype, device=device)


def grid(
    points: Tensor, initial: str | None, reach: float, dtype: torch.dtype
) -> Tensor:
    """Turn moves of the points into positions, and these into grid coordinates.

    Args:
        points: how far each moves.
        initial: where it starts, see :func:`steps`.
        reach: a factor on ``points``.
        dtype: of all coordinates.

    Shape:
        * points: (B, 2, g, s, s, H, W), in pixels, with any strides
        * returns: (B, g, s·H, s·W, 2), x then y, in [−1, 1] inside the map
    """
    batch, _, groups, scale, _, height, width = points.shape
    kind: dict[str, Any] = {"dtype": dtype, "device": points.device}
    start = steps(scale, initial, **kind)
    columns = torch.arange(width, **kind).view(width, 1) + start
    rows = torch.arange(height, **kind).view(height, 1) + start
    # In grid coordinates from here. 2 · position − size is exact for most scales, so
    # that the division rounds once; what is added after is a small move.
    columns, rows = (2 * columns - width) / width, (2 * rows - height) / height
    shape = (height, scale, width, scale)
    starts = torch.stack(
        (columns.expand(shape), rows.view(height, scale, 1, 1).expand(shape))
    )
    sizes = [torch.ones(1, **kind) * n for n in (width, height)]
    pixel = (2 / torch.cat(sizes)).view(2, 1, 1, 1, 1)
    # Copied once into the order of the result, so that the passes after run straight,
    # and in place: on a CPU a new buffer can cost more than the arithmetic.
    planes = points.permute(0, 2, 1, 5, 3, 6, 4)
    planes = planes.to(dtype, copy=True, memory_format=torch.contiguous_format)
    planes = planes.mul_(reach * pixel).add_(starts)
    # One plane for each axis: that is quicker to write, and no slower to read.
    planes = planes.reshape(batch, groups, 2, scale * height, scale * width)
    return planes.permute(0, 1, 3, 4, 2)
