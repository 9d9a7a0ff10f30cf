"""How far sampling points may walk, and how far they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..ops.checks import check_positive_integer
from ..ops.sampling import initial_positions
from ._inputs import array
from .style import HIGHLIGHT, INK, WIDTH, colour, label, styled
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


@styled
def offset_histogram(before: Any, after: Any, touching: float) -> Figure:
    """Learned offsets before and after the factor, and how many leave the range.

    Args:
        before: what the linear layer gives, any shape, or name → such, one row each.
            The argument for the factor takes it to lie in ±1.
        after: the same times the factor, in pixels; of the same form.
        touching: half-width at which ranges touch, 1 / (2·s), in pixels.
    """
    if not touching > 0:
        raise ValueError(f"touching has to be a positive number, got {touching!r}")
    if not isinstance(before, Mapping):
        before = {"": before}
    if not isinstance(after, Mapping):
        after = {"": after}
    if before.keys() != after.keys():
        raise ValueError(
            f"before and after have to name the same steps, got {list(before)} and "
            f"{list(after)}"
        )
    columns = (("linear(X)", before, 1.0), ("offset in pixels", after, touching))
    fig, axes = plt.subplots(
        len(before),
        2,
        figsize=(WIDTH, 0.5 + 2.5 * len(before)),
        sharey="col",  # steps are compared down a column
        squeeze=False,
    )
    fig.supylabel("share of all values", fontsize=11)
    fig.set_layout_engine("constrained")
    for column, (what, values, bound) in enumerate(columns):
        flat = {name: array(name, v).ravel() for name, v in values.items()}
        # All but the last thousandth decides the axis; the shares count everything.
        far = max(np.quantile(np.abs(v), 0.999) for v in flat.values())
        far = max(1.2 * bound, float(far))
        for ax, (name, value) in zip(axes[:, column], flat.items(), strict=True):
            _histogram(ax, value, bound, far, colour(name) if name else "#0072b2")
            if name and column == 0:
                ax.set_ylabel(label(name), color=colour(name), fontweight="bold")
        axes[-1, column].set_xlabel(what)
    return fig


def _histogram(
    ax: Axes, values: np.ndarray, bound: float, far: float, ink: str
) -> None:
    # An even count of bins on each side of the bound, so that none straddles it.
    step = bound / max(4, round(24 * bound / far))
    edges = np.arange(-np.ceil(far / step), np.ceil(far / step) + 1) * step
    share, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    share = 100 * share / max(1, values.size)
    inside = np.abs(edges[:-1] + step / 2) < bound
    for which, alpha in ((inside, 0.3), (~inside, 1.0)):
        left, height = edges[:-1][which], share[which]
        ax.bar(left, height, step, align="edge", color=ink, alpha=alpha)
    for x in (-bound, bound):
        ax.axvline(x, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), gid="bound")
    beyond = float(np.mean(np.abs(values) > bound)) if values.size else 0.0
    ax.set_title(f"{beyond:.1%} beyond ±{bound:g}".replace("%", " %"))
    ax.set_xlim(edges[0], edges[-1])
    ax.yaxis.set_major_formatter("{x:g} %")
