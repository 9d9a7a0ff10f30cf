"""What the groups of a sampling set have learned on the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Rectangle

from ..ops.checks import check_positive_integer
from ..ops.sampling import initial_positions
from ._inputs import array
from .style import INK, MUTED, WIDTH, bare, styled

GROUP_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#339911",
    "#aa2288",
    "#8a6d00",
    "#00828a",
    "#d4006a",
    "#555555",
)
"""One colour a group, for up to eight."""


def constant_share(learned: Any) -> float:
    """How much of learned offsets is the same in every pixel of every map.

    Args:
        learned: (…, 2, g, s², h, w) or any (M, K): M maps' pixels by K channels.

    Returns:
        The squared mean over pixels as a share of the mean square, both summed over
        channels: 1 if no pixel differs from another, 0 if the mean is 0; NaN if
        nothing has been learned.

    >>> constant_share([[1.0, 2.0], [1.0, 2.0]]), constant_share([[1.0], [-1.0]])
    (1.0, 0.0)
    """
    values = np.asarray(learned, dtype=float)
    whole = float((values**2).mean(0).sum())
    return float((values.mean(0) ** 2).sum()) / whole if whole else math.nan


@styled
def group_offsets(
    offsets: Mapping[str, Any], scale: int = 2, *, initial: str = "bilinear"
) -> Figure:
    """The mean offset of each group's points, and how far pixels scatter around it.

    A panel an entry shows one feature pixel. From the start of each of its s² points an
    arrow for each group leads to the mean of where it samples, in the middle of an
    ellipse of one standard deviation over all pixels. Below stands the share of the
    squared learned offsets that is constant (:func:`constant_share`).

    Args:
        offsets: name → O with the initial positions, (N, 2·g·s², h, w) of N maps or
            (2·g·s², h, w), in feature pixels; g may differ.
        scale: s.
        initial: where the points started, ``"bilinear"`` or ``"nearest"``.

    Raises:
        ValueError: if there is no entry, or one of another shape or more than 8 groups.
    """
    check_positive_integer("scale", scale)
    if not offsets:
        raise ValueError("offsets has to hold at least one entry, got none")
    starts = initial_positions(scale, initial).numpy().reshape(2, -1)  # x, y: (2, s²)
    learned = {
        name: _learned(name, value, starts, scale) for name, value in offsets.items()
    }
    columns = min(2, len(learned))
    rows = math.ceil(len(learned) / columns)
    each = WIDTH / 2
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(columns * each, rows * (each + 0.6) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    far = 0.5
    for ax, (name, values) in zip(axes.flat, learned.items(), strict=False):
        far = max(far, _panel(ax, values, starts))
        share = constant_share(values.reshape(len(values), -1))
        ax.set_title(name)
        said = (
            "nothing learned" if math.isnan(share) else f"{100 * share:.0f} % constant"
        )
        ax.set_xlabel(said, loc="left")
    for ax in axes.flat[: len(learned)]:
        ax.set(xlim=(-1.08 * far, 1.08 * far), ylim=(1.08 * far, -1.08 * far))
        ax.set_aspect("equal")
        bare(ax)
    for ax in axes.flat[len(learned) :]:
        ax.axis("off")
    most = max(values.shape[2] for values in learned.values())
    if most > 1:
        handles = [
            Line2D([], [], color=ink, label=f"group {group}")
            for group, ink in enumerate(GROUP_COLOURS[:most], start=1)
        ]
        fig.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(4, most),
            frameon=False,
        )
    return fig


def _learned(name: str, value: Any, starts: np.ndarray, scale: int) -> np.ndarray:
    """What was learned, offsets without the start: (pixels, 2, g, s²)."""
    maps = array(f"offsets[{name!r}]", value)
    maps = maps[None] if maps.ndim == 3 else maps
    points = scale**2
    if maps.ndim != 4 or not maps.size or maps.shape[1] % (2 * points):
        raise ValueError(
            f"offsets[{name!r}] has to be (N, 2·g·{points}, h, w), got {maps.shape}"
        )
    groups = maps.shape[1] // (2 * points)
    if groups > len(GROUP_COLOURS):
        raise ValueError(
            f"offsets[{name!r}] has to have at most {len(GROUP_COLOURS)} groups, got "
            f"{groups}"
        )
    pixels = np.moveaxis(maps, 1, -1).reshape(-1, 2, groups, points)
    return pixels - starts[:, None]


def _panel(ax: Axes, learned: np.ndarray, starts: np.ndarray) -> float:
    """Draw one pixel's arrows and ellipses; return how far out they reach."""
    ax.add_patch(
        Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor=MUTED, linewidth=1)
    )
    reach = 0.5
    for group in range(learned.shape[2]):
        ink = GROUP_COLOURS[group]
        for point, start in enumerate(starts.T):
            values = learned[:, :, group, point]
            mean = values.mean(0)
            sizes, axes = np.linalg.eigh(np.cov(values.T, bias=True))
            deviations = np.sqrt(np.maximum(sizes, 0))
            turned = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
            end = start + mean
            ax.add_patch(
                Ellipse(
                    tuple(end),
                    2 * deviations[1],
                    2 * deviations[0],
                    angle=turned,
                    facecolor=ink,
                    edgecolor=ink,
                    alpha=0.22,
                    gid=f"group {group + 1} ellipse",
                )
            )
            ax.annotate(
                "",
                tuple(end),
                tuple(start),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": ink,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )
            ax.plot(*end, ".", color=ink, markersize=3, gid=f"group {group + 1} mean")
            reach = max(reach, float(np.abs(end).max() + deviations[1]))
    ax.plot(*starts, "o", color="white", markersize=6, markeredgecolor=INK, gid="start")
    return reach
