"""Pictures of the toy that is worked by hand: number tables, coordinates, starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..ops.checks import check_positive_integer
from ..ops.sampling import initial_positions
from ._inputs import array
from .style import COLOURS, HIGHLIGHT, INK, MUTED, SEQUENTIAL, WIDTH, bare, styled

TOY = ((1.0, 2.0), (3.0, 4.0))


@styled
def number_tables(tables: Mapping[str, Any]) -> Figure:
    """Matrices side by side as coloured tables, each over the same square of ground.

    One colour scale for all: equal numbers have equal colours.

    Args:
        tables: title → matrix (H, W); at most four.
    """
    values = {name: array(name, table, 2) for name, table in tables.items()}
    if not 1 <= len(values) <= 4:
        raise ValueError(f"tables has to hold 1 to 4 matrices, got {len(values)}")
    low = min(float(v.min()) for v in values.values())
    high = max(float(v.max()) for v in values.values())
    fig, axes = plt.subplots(
        1, len(values), figsize=(WIDTH, 0.5 + WIDTH / len(values)), squeeze=False
    )
    fig.set_layout_engine("constrained")
    for ax, (name, value) in zip(axes[0], values.items(), strict=True):
        _table(ax, value, low, high)
        ax.set_title(name)
    return fig


def _table(ax: Axes, value: np.ndarray, low: float, high: float) -> None:
    height, width = value.shape
    # Four columns of "3.25" in a third of the width: the digits shrink with the cell.
    size = {1: 18, 2: 18, 3: 13}.get(max(height, width), 10.5)
    ax.imshow(value, cmap=SEQUENTIAL, vmin=low, vmax=high, extent=(0, width, height, 0))
    middle = (low + high) / 2
    for (row, column), number in np.ndenumerate(value):
        ax.text(
            column + 0.5,
            row + 0.5,
            f"{number:g}",
            ha="center",
            va="center",
            fontsize=size,
            color="black" if number > middle else "white",
        )
    for x in range(1, width):
        ax.axvline(x, color="white", linewidth=1)
    for y in range(1, height):
        ax.axhline(y, color="white", linewidth=1)
    bare(ax, frame=False)


@styled
def number_line(width: int = 4) -> Figure:
    """Where pixel centres lie: index, position i + 0.5, and ``grid_sample``'s [−1, 1].

    Args:
        width: W, how many pixels the row has.
    """
    check_positive_integer("width", width)
    fig, ax = plt.subplots(figsize=(WIDTH, 2.7), layout="constrained")
    rows = {"pixel": 2.0, "position": 1.0, "grid": 0.0}
    for i in range(width):
        ax.add_patch(
            Rectangle((i, 1.72), 1, 0.56, facecolor="#dbe9f4", edgecolor=MUTED)
        )
        ax.text(i + 0.5, 2.0, f"{i}", ha="center", va="center", fontsize=13)
        ax.plot([i + 0.5] * 2, [1.72, 0], color="#c9c9c9", linewidth=1, zorder=0)
    for y in (1.0, 0.0):
        ax.plot([0, width], [y, y], color=INK, linewidth=1.2)
        ax.plot([0, width], [y, y], "|", color=INK, markersize=12)
    centres = np.arange(width) + 0.5
    ends = (0.0, float(width))
    for y, gid in ((1.0, "positions"), (0.0, "grid")):
        ax.plot(centres, np.full(width, y), "o", color=HIGHLIGHT, gid=gid)
    for x in centres:
        _tick(ax, x, 1.0, f"{x:g}")
        _tick(ax, x, 0.0, f"{2 * x / width - 1:g}")
    for x in ends:
        _tick(ax, x, 1.0, f"{x:g}", MUTED)
        _tick(ax, x, 0.0, f"{2 * x / width - 1:g}".replace("-", "−"), MUTED)
    names = (
        "pixel i",
        "position\n$p = i + 0.5$",
        f"grid_sample\n$2p\\,/\\,{width} - 1$",
    )
    for name, y in zip(names, rows.values(), strict=True):
        ax.text(-0.04 * width, y, name, ha="right", va="center")
    ax.set(xlim=(-0.27 * width, 1.03 * width), ylim=(-0.5, 2.35))
    ax.axis("off")
    return fig


def _tick(ax: Axes, x: float, y: float, text: str, colour: str = INK) -> None:
    text = text.replace("-", "−")
    # On white, so that the guide line does not run through the number.
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    ax.text(
        x, y - 0.14, text, ha="center", va="top", color=colour, fontsize=10, bbox=box
    )


@styled
def start_points(
    features: Any = TOY, scale: int = 2, pixel: tuple[int, int] = (0, 0)
) -> Figure:
    """Where one pixel's s² points start, beside its neighbours': naive and even.

    Args:
        features: (H, W), the small map that is sampled.
        scale: s.
        pixel: row and column of the pixel whose points are drawn in colour.
    """
    check_positive_integer("scale", scale)
    values = array("features", features, 2)
    height, width = values.shape
    row, column = pixel
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"pixel has to lie on the {height}×{width} map, got row {row}, "
            f"column {column}"
        )
    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.6 + WIDTH / 2 * height / width))
    fig.set_layout_engine("constrained")
    titles = {"nearest": "naive: all at the centre", "bilinear": "even: 1/s apart"}
    for ax, (mode, title) in zip(axes, titles.items(), strict=True):
        x, y = initial_positions(scale, mode).flatten(1).numpy()
        ax.imshow(values, cmap="Greys", extent=(0, width, height, 0), alpha=0.25)
        for (r, c), number in np.ndenumerate(values):
            ax.text(c + 0.06, r + 0.07, f"{number:g}", va="top", color=MUTED)
            own = (r, c) == (row, column)
            ax.plot(
                c + 0.5 + x,
                r + 0.5 + y,
                "o",
                color=HIGHLIGHT if own else "#6b6b6b",
                markersize=11 if own else 7,
                gid=f"{mode} points" if own else "neighbours",
            )
        if mode == "nearest" and scale > 1:
            ax.annotate(
                f"{scale**2} points\nin one place",
                (column + 0.5, row + 0.5),
                (0, -12),
                textcoords="offset points",
                ha="center",
                va="top",
                color=HIGHLIGHT,
            )
        pixel_grid(ax, height, width)
        ax.set_title(title, color=COLOURS["naive"] if mode == "nearest" else INK)
    return fig


def pixel_grid(ax: Axes, height: int, width: int) -> None:
    """Draw the borders of height × width pixels, on axes in pixels."""
    for x in range(width + 1):
        ax.plot([x, x], [0, height], color="#444444", linewidth=1.0, zorder=2.5)
    for y in range(height + 1):
        ax.plot([0, width], [y, y], color="#444444", linewidth=1.0, zorder=2.5)
    ax.set(xticks=range(width + 1), yticks=range(height + 1))
    ax.set(xlim=(-0.03, width + 0.03), ylim=(height + 0.03, -0.03), aspect="equal")
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
    for spine in ax.spines.values():
        spine.set_visible(False)
