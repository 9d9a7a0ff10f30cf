"""Where sampling points start and where their offsets put them, as arrows."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..ops.sampling import initial_positions
from ._inputs import draw_outline, label_map, per_point, show
from .style import HIGHLIGHT, TRUTH, bare, styled

MOST_ARROWS = 1600


def sampling_positions(
    offsets: Any, scale: int, groups: int, initial: str = "bilinear"
) -> tuple[np.ndarray, np.ndarray]:
    """Initial and final positions, each (2, g, s, s, h, w), in feature pixels.

    Args:
        offsets: O with the initial positions, (2·g·s², h, w) or with a batch of one,
            in feature pixels.
        scale: s.
        groups: g.
        initial: where the points started, ``"bilinear"`` or ``"nearest"``.
    """
    points, height, width = per_point("offsets", offsets, scale, groups)
    centres = np.stack(
        np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5, indexing="xy")
    )
    starts = initial_positions(scale, initial).numpy()
    first = centres[:, None, None, None] + starts[:, None, :, :, None, None]
    last = centres[:, None, None, None] + points
    return np.broadcast_to(first, last.shape), last


@styled
def sampling_points(
    background: Any,
    offsets: Any,
    scale: int = 2,
    groups: int = 1,
    *,
    group: int = 0,
    initial: str = "bilinear",
    mask: Any = None,
    zoom: tuple[float, float, float, float] | None = None,
    magnify: float = 1.0,
) -> Figure:
    """Arrows from where each point started to where it samples, over the image.

    Where there are more than 1600 points, every second, third, … feature pixel is
    drawn with all of its points. Arrows are as long as the offset, unless magnified.

    Args:
        background: image (3, H, W), or a feature map (H, W), stretched over the grid.
        offsets: O with the initial positions, (2·g·s², h, w), in feature pixels.
        scale: s.
        groups: g.
        group: which group to draw.
        initial: where the points started, ``"bilinear"`` or ``"nearest"``.
        mask: (H, W) labels whose boundary is drawn, if given.
        zoom: top, left, height and width of the part to show, in feature pixels.
        magnify: how many times longer than the offset an arrow is; the title says so.
    """
    first, last = sampling_positions(offsets, scale, groups, initial)
    height, width = last.shape[-2:]
    if not 0 <= group < groups:
        raise ValueError(f"group has to be in 0 … {groups - 1}, got {group}")
    top, left, tall, wide = zoom or (0, 0, height, width)
    seen = tall * wide * scale**2
    every = int(np.ceil(np.sqrt(max(1.0, seen / MOST_ARROWS))))
    start = first[:, group, :, :, every // 2 :: every, every // 2 :: every]
    end = last[:, group, :, :, every // 2 :: every, every // 2 :: every]
    start, end = start.reshape(2, -1), end.reshape(2, -1)
    fig, ax = plt.subplots(figsize=(6, 6 * tall / wide + 0.5), layout="constrained")
    show(ax, background, (width, height))
    ax.images[0].set_alpha(0.75)
    if mask is not None:
        labels = label_map("mask", mask)
        draw_outline(ax, labels, TRUTH, 1.0, "truth", (width, height))
    if max(tall, wide) <= 26:
        for x in range(width + 1):
            ax.axvline(x, color="white", linewidth=0.5, alpha=0.7)
        for y in range(height + 1):
            ax.axhline(y, color="white", linewidth=0.5, alpha=0.7)
    size = min(5.0, 0.3 * 6 * 72 / (wide * scale))  # points, of 6 inches
    ax.plot(
        *start,
        "o",
        color="white",
        markersize=size,
        markeredgecolor="#333333",
        markeredgewidth=0.5,
        gid="starts",
    )
    ax.quiver(
        *start,
        *(end - start),
        angles="xy",
        scale_units="xy",
        scale=1 / magnify,
        color=HIGHLIGHT,
        edgecolor="white",
        linewidth=0.3,
        width=0.0045,
        headwidth=3.4,
        headlength=4,
        headaxislength=3.6,
        minlength=0.3,
        zorder=5,
    )
    bare(ax)
    ax.set(xlim=(left, left + wide), ylim=(top + tall, top))
    length = np.hypot(*(last - first)[:, group])
    ax.set_title(
        f"{height} × {width} feature pixels; offsets: median {np.median(length):.2f}, "
        f"longest {length.max():.2f} pixels"
        + (f"\narrows drawn {magnify:g} times as long" if magnify != 1 else "")
    )
    return fig
