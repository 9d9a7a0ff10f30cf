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

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_choice, check_groups, check_map, check_positive_integer
from .coordinates import grid, steps
from .gathering import gather

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
    start = steps(scale, mode, dtype, device) - 0.5
    y, x = torch.meshgrid(start, start, indexing="ij")
    return torch.stack((x, y))


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
    points = _points(offsets, scale, channels // per_group)
    return grid(points, None, 1.0, torch.promote_types(offsets.dtype, torch.float32))


def point_sample(
    features: Tensor,
    offsets: Tensor,
    scale: int,
    groups: int = 1,
    *,
    initial: str | None = None,
    reach: float = 1.0,
    deterministic: bool = False,
) -> Tensor:
    """Upsample ``features`` by reading them, bilinearly, at moved points.

    Paper: equation 1, X' = grid_sample(X, S). Points outside the map read its border.

    Args:
        features: X, of any floating-point type and memory format.
        offsets: O, in low-resolution pixels: from the pixel's centre, or from the
            initial position if one is given.
        scale: upsampling ratio s.
        groups: how many groups of C / g neighbouring channels have their own points.
        initial: ``"nearest"`` or ``"bilinear"`` to add :func:`initial_positions`.
        reach: a factor on ``offsets``. Both are here because one pass then does all.
        deterministic: gather the four neighbours of each point instead of calling
            ``grid_sample``, whose backward pass adds in varying order on CUDA.

    Shape:
        * features: (B, C, H, W)
        * offsets: (B, 2·g·s², H, W)
        * returns: (B, C, s·H, s·W), in the dtype of ``features``

    Convention:
        Computed in float32 or better. Float32 maps of more than
        :data:`FLOAT32_SIZE` rows or columns are sampled in float64, except on
        ``"mps"``, which has none, and in exported and traced graphs, which serve all
        sizes.

    Raises:
        TypeError, ValueError: if the shapes, types or groups do not fit together.

    >>> toy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> point_sample(toy, torch.zeros(1, 8, 2, 2), scale=2)[0, 0, 0]
    tensor([1., 1., 2., 2.])
    """
    check_positive_integer("scale", scale)
    check_map("features", features)
    check_map("offsets", offsets, channels=None)
    if initial is not None:
        check_choice("initial", initial, INITIAL_MODES)
    batch, channels, height, width = features.shape
    check_groups(groups, channels, "the channels of features")
    expected = (batch, 2 * groups * scale * scale, height, width)
    if tuple(offsets.shape) != expected:
        raise ValueError(
            f"offsets has to be (B, 2·groups·scale², H, W) = {expected} for these "
            f"features, got {tuple(offsets.shape)}"
        )
    return sample(
        features,
        _points(offsets, scale, groups),
        initial=initial,
        reach=reach,
        deterministic=deterministic,
    )


def sample(
    features: Tensor,
    points: Tensor,
    *,
    initial: str | None,
    reach: float,
    deterministic: bool,
) -> Tensor:
    """:func:`point_sample` without checks, for offsets that have a dimension for each.

    Shape:
        * features: (B, C, H, W)
        * points: (B, 2, g, s, s, H, W), with any strides
        * returns: (B, C, s·H, s·W), in the dtype of ``features``
    """
    batch, channels, height, width = features.shape
    groups, scale = points.shape[2:4]
    # One dtype for both, and the coordinates decide how wide.
    dtype = torch.promote_types(
        torch.promote_types(features.dtype, points.dtype), torch.float32
    )
    if deterministic:
        start = steps(scale, initial, dtype, points.device) - 0.5
        return gather(features.to(dtype), points.to(dtype), start, reach).to(
            features.dtype
        )
    if features.dtype == torch.float32 and _beyond_float32(features):
        dtype = torch.float64
    sampled = F.grid_sample(
        features.to(dtype).reshape(batch * groups, channels // groups, height, width),
        grid(points, initial, reach, dtype).flatten(0, 1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled.reshape(batch, channels, scale * height, scale * width).to(
        features.dtype
    )


def _for_all_sizes() -> bool:
    # A branch on the size would tie an exported graph to one side of it.
    return torch.jit.is_tracing() or _is_exporting()


def _beyond_float32(features: Tensor) -> bool:
    if _for_all_sizes():
        return False
    # Metal has no float64 at all.
    return max(features.shape[2:]) > FLOAT32_SIZE and features.device.type != "mps"


def _points(offsets: Tensor, scale: int, groups: int) -> Tensor:
    """(B, 2·g·s², H, W) → (B, 2, g, s, s, H, W)."""
    batch, _, height, width = offsets.shape
    return offsets.reshape(batch, 2, groups, scale, scale, height, width)
