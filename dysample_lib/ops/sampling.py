"""The geometry of sampling-based upsampling, as pure functions.

Three units occur, and only here are they converted into each other:

* **offsets** are in pixels of the low-resolution map, relative to the centre of the
  pixel that owns the point. Positive x points right, positive y points down.
* **positions** are in pixels of the low-resolution map, from its upper left corner:
  the centre of pixel i lies at i + 0.5.
* **grid** coordinates are what :func:`torch.nn.functional.grid_sample` takes with
  ``align_corners=False``: 2 · position / size − 1, which maps [0, size] to [−1, 1].

Offsets have the channel layout of the paper's implementation, (2, g, s, s): first the
axis (x, then y), then the group, then the row and the column of the s × s points that
one low-resolution pixel owns.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_choice, check_groups, check_map, check_positive_integer

# torch 2.6 does not tell export from compilation.
_is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

INITIAL_MODES = ("nearest", "bilinear")

FLOAT32_SIZE = 256
"""The largest height or width whose float32 maps are sampled in float32.

``grid_sample`` takes absolute coordinates. In float32 they are rounded by up to
size · 2⁻²⁴ pixels and more, which is an error of 4e-4 to 1e-3 in unit-normal maps of
2048 columns. Larger float32 maps are therefore sampled in float64; the page "What it
runs on" has the cost. Raise it, ``dysample_lib.ops.sampling.FLOAT32_SIZE = 4096``,
where such an error does not matter.
"""


def initial_positions(
    scale: int,
    mode: str = "bilinear",
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Where the s × s points of one pixel start, relative to the pixel's centre.

    Paper: section 3.2, "initial sampling position". With zero learned offsets,
    ``"nearest"`` starts (all points at the centre) give nearest interpolation, and
    ``"bilinear"`` starts (points evenly spread, (i − (s − 1) / 2) / s) give bilinear
    interpolation with ``align_corners=False``.

    Args:
        scale: upsampling ratio s, an integer of at least 1.
        mode: ``"nearest"`` or ``"bilinear"``.
        dtype: floating-point type of the result.
        device: device of the result.

    Shape:
        Returns (2, s, s): x, then y, in low-resolution pixels; row, then column.

    Raises:
        TypeError, ValueError: if an argument is not one of the above.

    >>> initial_positions(2)[0]
    tensor([[-0.2500,  0.2500],
            [-0.2500,  0.2500]])
    """
    check_positive_integer("scale", scale)
    check_choice("mode", mode, INITIAL_MODES)
    if not dtype.is_floating_point:
        raise TypeError(f"dtype has to be a floating-point type, got {dtype}")
    if mode == "nearest":
        return torch.zeros(2, scale, scale, dtype=dtype, device=device)
    start = (torch.arange(scale, dtype=dtype, device=device) + 0.5) / scale - 0.5
    y, x = torch.meshgrid(start, start, indexing="ij")
    return torch.stack((x, y))


def shuffle(x: Tensor, scale: int) -> Tensor:
    """(B, C·s², H, W) → (B, C, s·H, s·W): channel c·s² + i·s + j is sub-pixel (i, j).

    As torch's ``pixel_shuffle``, which fails for an empty batch on a CPU.
    """
    batch, channels, height, width = x.shape
    channels //= scale**2
    x = x.reshape(batch * channels, scale, scale, height, width)
    x = x.permute(0, 3, 1, 4, 2)  # rows, then sub-rows; columns, then sub-columns
    return x.reshape(batch, channels, scale * height, scale * width)


def sampling_grid(offsets: Tensor, scale: int) -> Tensor:
    """Turn offsets into the sampling set S = G + O, ready for ``grid_sample``.

    Paper: equations 2 and 3. G are the centres of the low-resolution pixels.

    Args:
        offsets: O, the initial positions included, in low-resolution pixels.
        scale: upsampling ratio s.

    Shape:
        * offsets: (B, 2·g·s², H, W)
        * returns: (B, g, s·H, s·W, 2), x then y, in [−1, 1] inside the map

    Convention:
        Computed in float32, or in float64 for float64 offsets: half-precision
        coordinates cannot tell neighbouring pixels apart on wide maps.

    Raises:
        TypeError, ValueError: if ``offsets`` is not such a map.

    >>> sampling_grid(torch.zeros(1, 2, 1, 2), scale=1).flatten().tolist()
    [-0.5, 0.0, 0.5, 0.0]
    """
    check_positive_integer("scale", scale)
    check_map("offsets", offsets)
    channels = offsets.shape[1]
    per_group = 2 * scale * scale
    if channels == 0 or channels % per_group:
        raise ValueError(
            f"offsets has to have a positive multiple of 2·scale² = {per_group} "
            f"channels, got {channels}"
        )
    dtype = torch.promote_types(offsets.dtype, torch.float32)
    grid = _grid(shuffle(offsets.to(dtype), scale), scale)
    return grid.unflatten(0, (offsets.shape[0], channels // per_group))


def point_sample(
    features: Tensor,
    offsets: Tensor,
    scale: int,
    groups: int = 1,
    *,
    deterministic: bool = False,
) -> Tensor:
    """Upsample ``features`` by reading them, bilinearly, at moved points.

    Paper: equation 1, X' = grid_sample(X, S). Points outside the map read its border.

    Args:
        features: X, of any floating-point type and memory format.
        offsets: O, the initial positions included, in low-resolution pixels.
        scale: upsampling ratio s.
        groups: how many groups of C / g neighbouring channels have their own points.
        deterministic: gather the four neighbours of each point instead of calling
            ``grid_sample``, whose backward pass adds in varying order on CUDA. It has
            no second derivative (gradient penalties need one; the default has it), and
            like the default no forward-mode one.

    Shape:
        * features: (B, C, H, W)
        * offsets: (B, 2·g·s², H, W)
        * returns: (B, C, s·H, s·W), in the dtype of ``features``

    Convention:
        Computed in float32 or better. Float32 maps of more than
        :data:`FLOAT32_SIZE` rows or columns are sampled in float64, except on
        ``"mps"``, which has none, and in exported and traced graphs, which serve all
        sizes.

        An offset that is NaN gives NaN, in value and gradient, at its points and in its
        group: in all channels on a CPU and in compiled graphs, in the group's first one
        on other devices. In exported and traced graphs it reads the border, as an
        infinite one does everywhere.

    Raises:
        TypeError, ValueError: if the shapes, types or groups do not fit together.

    >>> toy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> point_sample(toy, torch.zeros(1, 8, 2, 2), scale=2)[0, 0, 0]
    tensor([1., 1., 2., 2.])
    """
    check_positive_integer("scale", scale)
    check_map("features", features)
    check_map("offsets", offsets)
    batch, channels, height, width = features.shape
    check_groups(groups, channels, "the channels of features")
    expected = (batch, 2 * groups * scale * scale, height, width)
    if tuple(offsets.shape) != expected:
        raise ValueError(
            f"offsets has to be (B, 2·groups·scale², H, W) = {expected} for these "
            f"features, got {tuple(offsets.shape)}"
        )
    return sample(features, shuffle(offsets, scale), scale, deterministic)


def sample(
    features: Tensor, offsets: Tensor, scale: int, deterministic: bool = False
) -> Tensor:
    """:func:`point_sample` without checks, for offsets that are in place already.

    Shape:
        * features: (B, C, H, W)
        * offsets: (B, 2·g, s·H, s·W), those of each output pixel: x, then y
        * returns: (B, C, s·H, s·W), in the dtype of ``features``
    """
    # One dtype for both, and the coordinates decide how wide.
    dtype = torch.promote_types(
        torch.promote_types(features.dtype, offsets.dtype), torch.float32
    )
    if deterministic:
        y = _gather(features.to(dtype), offsets.to(dtype), scale)
        return y.to(features.dtype)
    if features.dtype == torch.float32 and _beyond_float32(features):
        dtype = torch.float64
    batch, channels, height, width = features.shape
    groups = offsets.shape[1] // 2
    maps = features.to(dtype).reshape(batch * groups, channels // groups, height, width)
    sampled = _read(maps, _grid(offsets.to(dtype), scale))
    return sampled.reshape(batch, channels, scale * height, scale * width).to(
        features.dtype
    )


def _read(maps: Tensor, grid: Tensor) -> Tensor:
    """``grid_sample``, which takes a position that is NaN for −1, and makes it NaN.

    Its backward pass on a CPU reads and writes beside the map there: that position must
    never reach it. Infinite ones do no harm, they read the border.
    """
    options: dict[str, Any] = {"padding_mode": "border", "align_corners": False}
    if for_all_sizes():  # no pass over the output where it is for inference
        grid = torch.where(grid == grid, grid, -1)
        return F.grid_sample(maps, grid, **options)
    if _are_numbers(grid):
        return F.grid_sample(maps, grid, **options)
    sampled = F.grid_sample(maps, grid.nan_to_num(), **options)
    # A pass over the whole output, for nothing as a rule, would cost a GPU too much.
    everywhere = maps.device.type == "cpu" or torch.compiler.is_compiling()
    return _marked(sampled, grid.isnan().any(-1), everywhere)


def _marked(sampled: Tensor, lost: Tensor, everywhere: bool) -> Tensor:
    """NaN where ``lost``: ``everywhere``, or in place and in the first channel alone.

    By a product, which makes the gradients NaN as well; that of ``nan_to_num`` is a
    product too and lets them through to the offsets.

    Shape:
        * sampled: (N, C, H, W)
        * lost: (N, H, W), bool
    """
    mark = torch.ones_like(lost, dtype=sampled.dtype).masked_fill(lost, float("nan"))
    mark = mark.unsqueeze(1)
    if everywhere:
        return sampled * mark
    sampled[:, :1].mul_(mark)
    return sampled


def _are_numbers(grid: Tensor) -> bool:
    """Whether nothing is NaN; False where looking would make a device wait."""
    if grid.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    try:
        return not grid.detach().sum().isnan().item()
    except RuntimeError:  # fake tensors and those of vmap hold no values to look at
        return False


def for_all_sizes() -> bool:
    """Whether a graph is captured, by export or trace, that is to serve all sizes.

    A branch on the size would tie it to one side of it.
    """
    return torch.jit.is_tracing() or _is_exporting()


def _beyond_float32(features: Tensor) -> bool:
    if for_all_sizes():
        return False
    # Metal has no float64 at all.
    return max(features.shape[2:]) > FLOAT32_SIZE and features.device.type != "mps"


def _owners(count: int, scale: int, like: Tensor) -> Tensor:
    """The pixel that each of the output's lines lies in, as 0, 0, 1, 1, …, (s·n,)."""
    pixels = torch.arange(count, dtype=like.dtype, device=like.device)
    return pixels.view(count, 1).expand(count, scale).reshape(-1)


def _grid(offsets: Tensor, scale: int) -> Tensor:
    """Offsets in place, (B, 2·g, s·H, s·W) → grid coordinates (B·g, s·H, s·W, 2)."""
    rows, columns = offsets.shape[2:]
    height, width = rows // scale, columns // scale
    # 2 · position − size is exact for the centres, so that the division rounds once;
    # what is added after is a small move.
    x = (2 * _owners(width, scale, offsets) + 1 - width) / width
    y = (2 * _owners(height, scale, offsets) + 1 - height) / height
    centres = torch.stack(
        (x.expand(rows, columns), y.view(-1, 1).expand(rows, columns))
    )
    one = torch.ones(1, dtype=offsets.dtype, device=offsets.device)
    pixel = 2 / torch.cat((one * width, one * height))
    planes = torch.addcmul(
        centres.unsqueeze(1), offsets.unflatten(1, (2, -1)), pixel.view(2, 1, 1, 1)
    )
    # One plane for each axis: that is quicker to write, and no slower to read.
    return planes.transpose(1, 2).flatten(0, 1).permute(0, 2, 3, 1)


def _gather(features: Tensor, offsets: Tensor, scale: int) -> Tensor:
    """What ``grid_sample`` does, from gathered neighbours and in a fixed order.

    The four neighbours of a point are rows of an embedding, added up with their
    weights; its backward pass sorts the rows first and so adds the gradients of each
    in a fixed order. Absolute coordinates never occur, only whole steps and a fraction,
    so that there is no loss of precision on wide maps. Shapes as for :func:`sample`.
    """
    batch, channels, height, width = features.shape
    groups = offsets.shape[1] // 2
    x, y = offsets.unflatten(1, (2, groups)).unbind(1)  # (B, g, s·H, s·W)
    # A map's size further is border. (clamp would drop the gradient where it is NaN.)
    size = torch.ones((), dtype=x.dtype, device=x.device)
    x = torch.maximum(torch.minimum(x, size * width), size * -width)
    y = torch.maximum(torch.minimum(y, size * height), size * -height)
    left, top = x.detach().floor(), y.detach().floor()
    # Where one is NaN, and so their sum, the weights and all gradients are.
    mark = 0 * (x + y).detach() + 1
    a, b = mark * (x - left), mark * (y - top)

    def indices(steps: Tensor, size: int, own: Tensor) -> list[Tensor]:
        near = (steps.nan_to_num() + own).long()
        return [near.clamp(0, size - 1), (near + 1).clamp(0, size - 1)]

    columns = indices(left, width, _owners(width, scale, x))
    rows = indices(top, height, _owners(height, scale, y).view(-1, 1))
    # One row of the table for each pixel of each group, and four rows to a bag.
    table = features.reshape(batch * groups, channels // groups, height * width)
    table = table.transpose(1, 2).reshape(-1, channels // groups)
    maps = torch.arange(batch * groups, device=features.device)
    first = (maps * (height * width)).view(batch, groups, 1, 1)
    bags = [first + row * width + column for row in rows for column in columns]
    weights = [v * h for v in (1 - b, b) for h in (1 - a, a)]
    sampled = F.embedding_bag(
        torch.stack(bags, -1).view(-1, 4),
        table,
        per_sample_weights=torch.stack(weights, -1).view(-1, 4),
        mode="sum",
    )
    shape = (batch * groups, scale * height, scale * width, channels // groups)
    sampled = sampled.view(shape).permute(0, 3, 1, 2)
    return sampled.reshape(batch, channels, scale * height, scale * width)
