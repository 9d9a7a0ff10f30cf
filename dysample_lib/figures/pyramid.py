"""A feature pyramid before and after its upsamplers are changed, as a drawing."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .diagram import DATA, PLAIN, UNDER_TEST
from .style import HIGHLIGHT, INK, MUTED, styled

STEP = 1.5
"""Height of a level, in the drawing's units."""


@styled
def pyramid_diagram(
    levels: Mapping[str, tuple[int, int, int]],
    channels: int = 256,
    *,
    before: str = "nearest ×2",
    after: str = "DySample ×2",
) -> Figure:
    """The top-down path of a feature pyramid, twice: what changes is orange.

    Args:
        levels: name → (C, H, W) of the backbone's maps, finest first.
        channels: channels of the pyramid.
        before: what stands between two levels in the left drawing.
        after: what stands there in the right one.

    Raises:
        ValueError: for fewer than two levels, between which nothing stands.
    """
    if len(levels) < 2:
        raise ValueError(
            f"levels has to hold at least two maps, got {len(levels)}: {[*levels]}"
        )
    height = STEP * (len(levels) - 1)
    fig, axes = plt.subplots(
        1, 2, figsize=(8, 1.6 + 0.88 * height), layout="constrained"
    )
    for ax, name, learned in zip(axes, (before, after), (False, True), strict=True):
        _pyramid(ax, levels, channels, name, learned)
        ax.set_title("after" if learned else "before")
        ax.set(xlim=(-0.9, 3.45), ylim=(-0.55, height + 0.55), aspect="equal")
        ax.axis("off")
    return fig


def _pyramid(
    ax: Axes,
    levels: Mapping[str, tuple[int, int, int]],
    channels: int,
    upsampler: str,
    learned: bool,
) -> None:
    for i, (name, (depth, height, width)) in enumerate(levels.items()):
        y = STEP * i
        _box(ax, 0, y, f"{name}\n{depth} × {height} × {width}", DATA, 1.7, 0.72)
        _box(ax, 2.35, y, f"{channels} ×\n{height} × {width}", PLAIN, 1.3, 0.72)
        _arrow(ax, (0.87, y), (1.68, y))
        _arrow(ax, (3.02, y), (3.42, y))
        for x, kernel in ((1.27, "1×1"), (3.22, "3×3")):
            ax.text(x, y + 0.1, kernel, ha="center", va="bottom", fontsize=9.5)
        if i == 0:
            continue
        fill, gid = (UNDER_TEST, "learned") if learned else (DATA, "fixed")
        _box(ax, 2.35, y - STEP / 2, upsampler, fill, 1.5, 0.36, gid)
        ax.plot([2.35, 2.35], [y - 0.36, y - STEP / 2 + 0.18], color=INK, linewidth=1)
        _arrow(ax, (2.35, y - STEP / 2 - 0.18), (2.35, y - STEP + 0.37))


def _box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    fill: str,
    width: float,
    height: float,
    gid: str = "map",
) -> None:
    learned = gid == "learned"
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=fill,
            edgecolor=HIGHLIGHT if learned else MUTED,
            linewidth=2 if learned else 1,
            gid=gid,
        )
    )
    weight = "bold" if learned else "normal"
    ax.text(x, y, text, ha="center", va="center", fontsize=9.5, fontweight=weight)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=INK,
            shrinkA=0,
            shrinkB=0,
        )
    )
