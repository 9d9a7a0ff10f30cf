"""Kernel-based upsampling: each output value is a weighted sum of a neighbourhood.

A map and its 5 × 5 neighbourhoods, unfolded, would take 25 times the map's memory. Here
it is cut into tiles of 4 × 4 pixels with a margin instead, 4 times the map's. The
kernels of a tile become a matrix whose rows are the pixels of the tile with its margin,
zero outside each kernel, so that one matrix product a tile makes its output values. It
multiplies 2.56 times as many numbers as needed, at the speed of a matrix product. The
matrices have 64·s² numbers a pixel and group of channels, less than the unfolded copy
wherever a group has more than 2.56·s² channels. A value that is not finite makes all
output of its tile NaN, as zero times it is.

The matrices take tensors of up to ten dimensions, which mobile runtimes do not have,
and windows that torch's older ONNX exporter does not know. Exported and traced graphs
add up k² moved copies of the map instead, at up to about twice the time on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_groups, check_map, check_positive_integer
from .sampling import for_all_sizes

TILE = 4
"""Rows and columns of the low-resolution map that one matrix product takes."""


def reassemble(
    features: Tensor, kernels: Tensor, scale: int, groups: int = 1
) -> Tensor:
    r"""Upsample by k × k kernels, one for each output pixel and group of channels.

    Wang et al., CARAFE (ICCV 2019), section 3.3: with l = ⌊l' / s⌋ and r = ⌊k / 2⌋,

    .. math::

        X'_{l'} = \sum_{n=-r}^{r} \sum_{m=-r}^{r} W_{l'}(n, m) \, X_{(i+n, j+m)},

    where pixels outside the map are zero, as in the authors' code.

    Args:
        features: X.
        kernels: W, normalised already; channel (q · k + row) · k + column belongs to
            group q.
        scale: upsampling ratio s.
        groups: how many groups of C / g neighbouring channels have their own kernels.

    Shape:
        * features: (B, C, H, W), any floating-point dtype
        * kernels: (B, g·k², s·H, s·W), k odd
        * returns: (B, C, s·H, s·W), in the dtype of ``features``

    Raises:
        TypeError, ValueError: if the shapes or groups do not fit together.

    >>> toy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> reassemble(toy, torch.ones(1, 1, 4, 4), scale=2)[0, 0, 0]
    tensor([1., 1., 2., 2.])
    """
    check_positive_integer("scale", scale)
    check_map("features", features)
    check_map("kernels", kernels)
    batch, channels, height, width = features.shape
    check_groups(groups, channels, "the channels of features")
    size = math.isqrt(kernels.shape[1] // groups)
    expected = (batch, groups * size**2, scale * height, scale * width)
    if tuple(kernels.shape) != expected or size % 2 == 0:
        raise ValueError(
            f"kernels has to be (B, groups·k², scale·H, scale·W) with k odd for "
            f"groups={groups}, scale={scale} and features of "
            f"{tuple(features.shape)}, got {tuple(kernels.shape)}"
        )
    if for_all_sizes():
        return _sum_of_moved(features, kernels, scale, groups, size)
    windows = _windows(features, size)
    windows = windows.reshape(
        *windows.shape[:3], groups, channels // groups, math.prod(windows.shape[-2:])
    )
    w = _split(kernels.to(features.dtype), scale, height, width)
    w = w.unflatten(3, (groups, size, size))
    # (B, R, S, g, row, column, y, i, x, j): pixel (y, x) of tile (R, S), sub-pixel
    # (i, j). The kernel's rows become rows of the window, then so do its columns.
    w = w.permute(0, 1, 2, 3, 7, 9, 8, 5, 6, 4)
    w = _to_band(w).permute(0, 1, 2, 3, 4, 5, 8, 9, 6, 7)
    w = _to_band(w).permute(0, 1, 2, 3, 7, 9, 6, 4, 8, 5)
    w = w.flatten(4, 5).flatten(5)
    out = windows @ w  # (B, R, S, g, C / g, y·i·x·j)
    del windows, w  # where no gradient needs them their memory is free from here on
    out = out.flatten(3, 4).to(features.dtype)
    return _merge(out, scale, height, width)


def affinity(query: Tensor, keys: Tensor, scale: int, kernel_size: int) -> Tensor:
    """Inner products of each output pixel's query with its k × k neighbouring keys.

    Lu et al., SAPA (NeurIPS 2022): similarity, with pixels outside the map zero.

    Shape:
        * query: (B, d, s·H, s·W)
        * keys: (B, d, H, W)
        * returns: (B, k², s·H, s·W), channel row · k + column
    """
    if for_all_sizes():
        products = (query * near for near in _moved(keys, scale, kernel_size))
        return torch.stack([product.sum(1) for product in products], 1)
    height, width = keys.shape[2:]
    windows = _windows(keys, kernel_size)
    q = _split(query, scale, height, width).flatten(4)
    w = q.transpose(3, 4) @ windows.flatten(4)
    w = w.unflatten(4, windows.shape[4:]).unflatten(3, (TILE, scale, TILE, scale))
    # (B, R, S, y, i, x, j, row, column), of the window
    w = _from_band(w.permute(0, 1, 2, 4, 6, 5, 8, 3, 7), kernel_size)
    w = _from_band(w.permute(0, 1, 2, 3, 4, 7, 8, 5, 6), kernel_size)
    # (B, R, S, i, j, y, row, x, column), of the kernel
    w = w.permute(0, 1, 2, 6, 8, 5, 3, 7, 4).flatten(5).flatten(3, 4)
    return _merge(w, scale, height, width)


def reassembly_flops(
    channels: int, size: int, scale: int, height: int, width: int, groups: int = 1
) -> int:
    """Operations of the softmax and the weighted sums of one map, kernels k × k.

    s²·H·W·k²·(2·C + 3·g): a product and a sum for each weight and channel; an
    exponential, a sum and a division for each weight. The zeros that the tiles
    multiply on top are this formulation's, not the operator's, and not counted.
    """
    return scale**2 * height * width * size**2 * (2 * channels + 3 * groups)


def normalised(logits: Tensor, groups: int = 1) -> Tensor:
    """Softmax over each kernel, (B, g·k², s·H, s·W) → same, at least float32."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype).unflatten(1, (groups, -1)).softmax(2).flatten(1, 2)


def check_kernel_size(kernel_size: object) -> None:
    """Raise unless ``kernel_size`` is a positive odd integer."""
    check_positive_integer("kernel_size", kernel_size)
    if kernel_size % 2 == 0:  # type: ignore[operator]
        raise ValueError(f"kernel_size has to be odd, got {kernel_size}")


def _moved(x: Tensor, scale: int, size: int) -> Iterator[Tensor]:
    """One after the other the k × k neighbours that each output pixel sees.

    Zeros stand around the map. (B, C, H, W) → k² times (B, C, s·H, s·W)
    """
    height, width, margin = scale * x.shape[2], scale * x.shape[3], size // 2
    x = F.interpolate(F.pad(x, (margin,) * 4), scale_factor=float(scale))
    for row in range(0, scale * size, scale):
        for column in range(0, scale * size, scale):
            yield x[:, :, row : row + height, column : column + width]


def _sum_of_moved(
    features: Tensor, kernels: Tensor, scale: int, groups: int, size: int
) -> Tensor:
    """:func:`reassemble` without tiles, added up in float32 or better."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    weights = kernels.to(features.dtype).to(dtype).unflatten(1, (groups, size**2))
    y = torch.zeros((), dtype=dtype, device=features.device)
    for i, near in enumerate(_moved(features.to(dtype), scale, size)):
        near = near.unflatten(1, (groups, -1))
        y = torch.addcmul(y, near, weights[:, :, i : i + 1])
    return y.flatten(1, 2).to(features.dtype)


def _windows(x: Tensor, size: int) -> Tensor:
    """Tiles with a margin, (B, C, H, W) → (B, R, S, C, TILE + k − 1, TILE + k − 1).

    Zeros stand around the map, and fill the last tiles.
    """
    margin = size // 2
    (_, bottom), (_, right) = (_tiles(n) for n in x.shape[2:])
    x = F.pad(x, (margin, margin + right, margin, margin + bottom))
    x = x.unfold(2, TILE + size - 1, TILE).unfold(3, TILE + size - 1, TILE)
    return x.permute(0, 2, 3, 1, 4, 5)


def _split(x: Tensor, scale: int, height: int, width: int) -> Tensor:
    """The output's tiles, (B, C, s·H, s·W) → (B, R, S, C, TILE, s, TILE, s)."""
    (down, bottom), (across, right) = _tiles(height), _tiles(width)
    x = F.pad(x, (0, scale * right, 0, scale * bottom))
    x = x.unflatten(3, (across, TILE, scale)).unflatten(2, (down, TILE, scale))
    return x.permute(0, 2, 5, 1, 3, 4, 6, 7)


def _merge(x: Tensor, scale: int, height: int, width: int) -> Tensor:
    """Tiles (B, R, S, C, TILE·s·TILE·s) → (B, C, s·H, s·W)."""
    batch, down, across, channels = x.shape[:4]
    side = scale * TILE
    x = x.unflatten(4, (side, side)).permute(0, 3, 1, 4, 2, 5)
    x = x.reshape(batch, channels, down * side, across * side)
    return x[..., : scale * height, : scale * width]


def _tiles(size: int) -> tuple[int, int]:
    """How many tiles hold ``size`` rows or columns, and how many are left empty."""
    count = (size + TILE - 1) // TILE
    return count, count * TILE - size


def _to_band(x: Tensor) -> Tensor:
    """Move row t of (…, T, k) by t to the right: (…, T, T + k − 1), zeros elsewhere.

    Rows padded to T + k and read as rows of T + k − 1 are moved by one more each.
    """
    rows, size = x.shape[-2:]
    x = F.pad(x, (0, rows)).flatten(-2)[..., :-rows]
    return x.unflatten(-1, (rows, rows + size - 1))


def _from_band(x: Tensor, size: int) -> Tensor:
    """Undo :func:`_to_band`: (…, T, T + k − 1) → (…, T, k)."""
    rows = x.shape[-2]
    x = F.pad(x.flatten(-2), (0, rows))
    return x.unflatten(-1, (rows, rows + size))[..., :size]
