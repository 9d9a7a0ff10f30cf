"""From tensors and arrays to what matplotlib draws, with checks that name the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from .style import CLASS_COLOURS, IGNORED, INK, SEQUENTIAL


def array(name: str, value: Any, dims: int | None = None) -> np.ndarray:
    """``value`` as an array on the CPU; a leading batch of one is taken off.

    Raises:
        ValueError: if it does not have ``dims`` dimensions then.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # numpy has no bfloat16.
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    result = np.asarray(value)
    if dims is None:
        return result
    if result.ndim == dims + 1 and result.shape[0] == 1:
        result = result[0]
    if result.ndim != dims:
        raise ValueError(
            f"{name} has to have {dims} dimensions, got {result.ndim}: {result.shape}"
        )
    return result


def picture(name: str, value: Any) -> np.ndarray:
    """An image (3, H, W), uint8 or float in [0, 1], as (H, W, 3) for ``imshow``."""
    result = array(name, value, 3)
    if result.shape[0] != 3:
        raise ValueError(f"{name} has to be an image (3, H, W), got {result.shape}")
    return np.moveaxis(result, 0, -1)


def label_map(name: str, value: Any) -> np.ndarray:
    """A label map (H, W) as integers."""
    return array(name, value, 2).astype(np.int64)


def same_size(**planes: np.ndarray) -> tuple[int, int]:
    """The height and width that all of ``planes`` (H, W, …) share."""
    sizes = {name: plane.shape[:2] for name, plane in planes.items()}
    if len(set(sizes.values())) != 1:
        found = ", ".join(f"{name} {h}×{w}" for name, (h, w) in sizes.items())
        raise ValueError(
            f"all maps have to have the same height and width, got {found}"
        )
    height, width = next(iter(sizes.values()))
    return int(height), int(width)


def per_point(
    name: str, offsets: Any, scale: int, groups: int
) -> tuple[np.ndarray, int, int]:
    """Offsets or ranges (2·g·s², h, w) as (2, g, s, s, h, w), with h and w."""
    result = array(name, offsets, 3)
    channels, height, width = result.shape
    if channels != 2 * groups * scale**2:
        raise ValueError(
            f"{name} has to have 2·groups·scale² = {2 * groups * scale**2} channels, "
            f"got {channels}"
        )
    return result.reshape(2, groups, scale, scale, height, width), height, width


def show(ax: Axes, background: Any, extent: tuple[float, float]) -> None:
    """Draw an image (3, H, W), or a feature map (H, W), over width × height units."""
    width, height = extent
    box = (0, width, height, 0)
    if array("background", background).ndim == 2:
        ax.imshow(array("background", background), cmap=SEQUENTIAL, extent=box)
    else:
        ax.imshow(picture("background", background), extent=box)


def fills(labels: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """A label map (H, W) as colours (H, W, 3)."""
    table = np.array([to_rgb(c) for c in CLASS_COLOURS])
    result = table[labels % len(table)]
    result[labels == ignore_index] = to_rgb(IGNORED)
    return result


def outline(labels: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """The pixel edges between two classes, (N, 2, 2): N segments of (x, y) ends.

    Pixel (row, column) covers [column, column + 1] × [row, row + 1]. An edge towards
    an ignored pixel is none.
    """
    known = labels != ignore_index
    left, right = labels[:, :-1], labels[:, 1:]
    y, x = np.nonzero((left != right) & known[:, :-1] & known[:, 1:])
    upright = np.stack([np.stack([x + 1, y], 1), np.stack([x + 1, y + 1], 1)], 1)
    upper, lower = labels[:-1], labels[1:]
    y, x = np.nonzero((upper != lower) & known[:-1] & known[1:])
    flat = np.stack([np.stack([x, y + 1], 1), np.stack([x + 1, y + 1], 1)], 1)
    return np.concatenate([upright, flat]).astype(float)


def draw_outline(
    ax: Axes,
    labels: np.ndarray,
    colour: str,
    width: float,
    name: str,
    extent: tuple[float, float] | None = None,
    casing: bool = True,
) -> None:
    """Draw :func:`outline`, pixel-exact.

    Args:
        ax: in units of which the map is ``extent`` = (width, height) large, by default
            its own pixels.
        labels: (H, W).
        colour: of the line.
        width: of the line, in points.
        name: the ``gid`` of the line.
        extent: see ``ax``.
        casing: put a slightly wider dark line under it, to show on any imagery.
    """
    segments = outline(labels)
    if extent is not None:
        segments = segments * (np.array(extent) / labels.shape[::-1])
    layers = [(INK, 1.1, f"{name} casing")] if casing else []
    for ink, extra, gid in [*layers, (colour, 0.0, name)]:
        lines = LineCollection(
            list(segments),
            colors=ink,
            linewidths=width + extra,
            capstyle="projecting",
            gid=gid,
        )
        ax.add_collection(lines, autolim=False)
