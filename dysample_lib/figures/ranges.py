"""How far sampling points may move, and where their ranges meet."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..ops.checks import check_positive_integer
from ..ops.sampling import initial_positions
from .style import HIGHLIGHT, WIDTH, styled
from .toy import pixel_grid


def range_overlap(factor: float, scale: int) -> float:
    """The share of its width that a walking range has in common with its neighbour's.

    In one dimension: ranges of half-width f around starts 1/s apart share
    max(0, 1 − 1 / (2·f·s)). They touch at f = 1 / (2·s).

    >>> range_overlap(0.5, 2), range_overlap(0.25, 2), range_overlap(0.25, 4)
    (0.5, 0.0, 0.5)
    """
    check_positive_integer("scale", scale)
    if not factor > 0:
        raise ValueError(f"factor has to be a positive number, got {factor!r}")
    return max(0.0, 1 - 1 / (2 * factor * scale))


@styled
def walking_ranges(
    factors: Sequence[float] = (1, 0.5, 0.25, 0.1), scale: int = 2
) -> Figure:
    """How far points may walk: squares of half-width f around the starts, per factor.

    One pixel's points are in colour, its neighbours' in grey; the title gives the
    share of its width that a range has in common with the next one.
    """
    overlaps = [range_overlap(factor, scale) for factor in factors]
    columns = min(2, len(overlaps))
    rows = -(-len(overlaps) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * WIDTH / columns), squeeze=False
    )
    fig.set_layout_engine("constrained")
    x, y = initial_positions(scale).flatten(1).numpy()
    for ax in axes.flat[len(overlaps) :]:
        ax.axis("off")
    for ax, factor, overlap in zip(axes.flat, factors, overlaps, strict=False):
        for row, column in sorted(np.ndindex(3, 3), key=lambda at: at == (1, 1)):
            own = (row, column) == (1, 1)
            for dx, dy in zip(x, y, strict=True):
                _range(ax, column + 0.5 + dx, row + 0.5 + dy, factor, own)
        pixel_grid(ax, 3, 3)
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
        ax.set(xlim=(-0.08, 3.08), ylim=(3.08, -0.08))
        share = f"share {100 * overlap:.0f} %"
        if np.isclose(2 * factor * scale, 1):
            share = "touch (0 %)"
        ax.set_title(f"f = {factor:g}: neighbours {share}")
    return fig


def _range(ax: Axes, x: float, y: float, factor: float, own: bool) -> None:
    ink = HIGHLIGHT if own else "#b5b5b5"
    ax.add_patch(
        Rectangle(
            (x - factor, y - factor),
            2 * factor,
            2 * factor,
            facecolor=(*_faint(own), 0.22 if own else 0.05),
            edgecolor=ink,
            linewidth=1.6 if own else 0.5,
            zorder=3 if own else 2,
            gid="own range" if own else "range",
        )
    )
    ax.plot(x, y, "o", color=ink, markersize=5 if own else 3, zorder=4)


def _faint(own: bool) -> tuple[float, float, float]:
    return (0.84, 0.37, 0.0) if own else (0.5, 0.5, 0.5)
