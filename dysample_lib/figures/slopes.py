"""Interpolated values and their slopes along one row of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..ops.sampling import initial_positions
from .style import COLOURS, INK, MUTED, WIDTH, styled

KINKED_ROW = (0.0, 1.0, 2.0, 12.0, 22.0)
ARROW = COLOURS["grouping"]
EDGE_ROW = (0.0, 0.0, 0.0, 0.3, 0.8, 1.0, 1.0, 1.0)


def interpolated(row: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Linear interpolation at positions in pixels, centres at i + 0.5, border held."""
    return np.interp(position, np.arange(len(row)) + 0.5, row)


def slope(row: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The derivative of :func:`interpolated`; at a kink the one from the right.

    That is the side ``grid_sample`` takes when the position is exact.
    """
    steps = np.concatenate([[0.0], np.diff(row), [0.0]])
    return steps[np.floor(np.asarray(position) + 0.5).astype(int)]


def _row(values: Sequence[float]) -> np.ndarray:
    row = np.asarray(values, dtype=float)
    if row.ndim != 1 or len(row) < 2:
        raise ValueError(f"row has to hold at least 2 numbers, got shape {row.shape}")
    return row


def _pair(row: np.ndarray, height: float = 5.4) -> tuple[Figure, Axes, Axes]:
    """Two axes over one x axis: the interpolated row, and its slope with its jumps."""
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(WIDTH, height), sharex=True, layout="constrained"
    )
    size = len(row)
    centres = np.arange(size) + 0.5
    x = np.concatenate([[0.0], centres, [size]])
    for ax in (top, bottom):
        for centre in centres:
            ax.axvline(centre, color="#e3e3e3", linewidth=1, zorder=0)
    top.plot(x, interpolated(row, x), color=INK, gid="value")
    top.plot(centres, row, "s", color=INK, markersize=6, gid="pixels")
    for start, end in pairwise(x):
        height = float(slope(row, (start + end) / 2))
        bottom.plot([start, end], [height] * 2, color=INK, gid="slope")
    heights = slope(row, (x[:-1] + x[1:]) / 2)
    bottom.vlines(centres, heights[:-1], heights[1:], color=MUTED, linestyles=":")
    top.set(ylabel="sampled value")
    bottom.set(ylabel="derivative (per pixel)", xlabel="position (pixels)")
    bottom.set(xlim=(0, size), xticks=range(size + 1))
    for ax in (top, bottom):
        ax.margins(y=0.12)
    return fig, top, bottom


@styled
def kink(row: Sequence[float] = KINKED_ROW, pixel: int = 2, scale: int = 2) -> Figure:
    """Value and derivative along a row, with both starts of one pixel's points.

    The naive start is the pixel's centre, on a jump of the derivative: both sides are
    marked. The even starts lie inside linear pieces.

    Args:
        row: the values of the pixels, at least two.
        pixel: index of the pixel whose starts are marked.
        scale: s.
    """
    values = _row(row)
    if not 0 <= pixel < len(values):
        raise ValueError(f"pixel has to be in 0 … {len(values) - 1}, got {pixel}")
    fig, top, bottom = _pair(values)
    centre = pixel + 0.5
    even = centre + initial_positions(scale)[0, 0].numpy().astype(float)
    naive_ink, even_ink = COLOURS["naive"], COLOURS["initial_offsets"]
    sides = slope(values, np.array([centre - 1e-6, centre]))
    big: Any = {"markersize": 10, "linestyle": "none", "zorder": 5}
    top.plot(
        [centre],
        interpolated(values, np.array([centre])),
        "o",
        color=naive_ink,
        gid="naive",
        **big,
    )
    top.plot(even, interpolated(values, even), "D", color=even_ink, gid="even", **big)
    bottom.plot([centre] * 2, sides, "o", color=naive_ink, gid="naive", **big)
    bottom.plot(even, slope(values, even), "D", color=even_ink, gid="even", **big)
    top.annotate(
        "naive start: on the kink",
        (centre, float(interpolated(values, np.array([centre]))[0])),
        (-14, 22),
        textcoords="offset points",
        ha="right",
        color=naive_ink,
        fontweight="bold",
        arrowprops={"arrowstyle": "-", "color": naive_ink},
    )
    bottom.annotate(
        f"naive: {sides[0]:g} from the left,\n{sides[1]:g} from the right",
        (centre, float(sides.mean())),
        (-16, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=naive_ink,
        fontweight="bold",
    )
    bottom.annotate(
        "even starts: inside\na linear piece",
        (float(even[-1]), float(slope(values, even[-1:])[0])),
        (16, -14),
        textcoords="offset points",
        va="top",
        color=even_ink,
        fontweight="bold",
    )
    return fig


@styled
def edge_slope(row: Sequence[float] = EDGE_ROW) -> Figure:
    """What a point learns from at a 1-D edge: arrows as long as the local slope.

    Where the row is flat the derivative of the sampled value with respect to the
    position is zero, and no gradient moves the point.
    """
    values = _row(row)
    fig, top, bottom = _pair(values)
    inside = np.arange(1, len(values))  # between centres, where the slope is defined
    position = inside.astype(float)
    height = interpolated(values, position)
    slopes = slope(values, position)
    longest = max(float(np.abs(slopes).max()), 1e-12)
    moving = slopes != 0
    for ax, y in ((top, height), (bottom, slopes)):
        ax.plot(
            position[moving],
            y[moving],
            "o",
            color=ARROW,
            markersize=8,
            gid="moving",
            zorder=5,
        )
        ax.plot(
            position[~moving],
            y[~moving],
            "o",
            color="white",
            markersize=8,
            markeredgecolor=ARROW,
            gid="resting",
            zorder=5,
        )
    top.quiver(
        position[moving],
        height[moving],
        0.9 * slopes[moving] / longest,
        np.zeros(int(moving.sum())),
        angles="xy",
        scale_units="xy",
        scale=1,
        color=ARROW,
        width=0.008,
        zorder=4,
    )
    top.set_title("filled: pulled along the slope; hollow: flat, nothing moves")
    return fig
