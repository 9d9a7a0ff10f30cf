"""Maps of what was learned: fields of offsets in a colour wheel, and of ranges."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..ops.checks import check_positive_integer
from ._inputs import draw_outline, interleave, label_map, per_point, show
from .points import sampling_positions
from .style import DIVERGING, INK, WIDTH, bare, styled


def wheel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours (…, 3) of vectors in the unit disc: hue for direction, grey for zero.

    The two axes differ in lightness (down is dark, up is light) and between orange
    (right) and blue (left), which people of every kind of colour vision tell apart.
    """
    length = np.hypot(x, y)
    x, y = x / np.maximum(length, 1), y / np.maximum(length, 1)
    centre = np.array([0.66, 0.66, 0.66])
    ends = {"right": (0.93, 0.42, 0.0), "left": (0.05, 0.42, 0.85)}
    ends |= {"up": (0.85, 1.0, 0.80), "down": (0.28, 0.02, 0.30)}
    to = {name: np.array(end) - centre for name, end in ends.items()}
    x, y = x[..., None], y[..., None]
    colours = centre + np.where(x > 0, x * to["right"], -x * to["left"])
    colours = colours + np.where(y < 0, -y * to["up"], y * to["down"])
    return np.clip(colours, 0, 1)


@styled
def offset_fields(
    offsets: Any,
    scale: int,
    groups: int,
    image: Any,
    *,
    initial: str = "bilinear",
    mask: Any = None,
    average: bool = True,
    longest: float | None = None,
) -> Figure:
    """Each group's learned offsets as a field of colours, with the wheel's legend.

    Args:
        offsets: O with the initial positions, (2·g·s², h, w), in feature pixels.
        scale: s.
        groups: g.
        image: (3, H, W).
        initial: where the points started, ``"bilinear"`` or ``"nearest"``.
        mask: (H, W) labels whose boundary is drawn on the fields, if given.
        average: draw the mean offset of each pixel's s² points; otherwise each point's.
            The mean is smooth, and blind to points that go apart.
        longest: the offset at the wheel's edge, in feature pixels; give the same one to
            figures that are compared. By default all but the longest percent fit in.
    """
    check_positive_integer("groups", groups)
    if longest is not None and not longest > 0:
        raise ValueError(f"longest has to be a positive length, got {longest}")
    first, last = sampling_positions(offsets, scale, groups, initial)
    height, width = last.shape[-2:]
    learned = last - first
    # (2, g, h, w), or (2, g, s·h, s·w)
    fields = learned.mean(axis=(2, 3)) if average else interleave(learned)
    if longest is None:
        # The last percent would otherwise grey out everything else.
        longest = max(float(np.quantile(np.hypot(*fields), 0.99)), 1e-9)
    # One or two fields stand in a row with the image and the wheel; more make a block
    # with those two at its left.
    block = 2 if groups <= 4 else 3
    columns = groups + 2 if groups <= 2 else 1 + block
    rows = 1 if groups <= 2 else max(2, -(-groups // block))
    each = WIDTH / columns
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, rows * (each * height / width + 0.35)),
        squeeze=False,
        layout="constrained",
    )
    show(axes[0, 0], image, (width, height))
    axes[0, 0].set_title("image")
    _draw_wheel(axes[0, -1] if rows == 1 else axes[1, 0], longest)
    places = axes[:, 1:].flat if rows > 1 else axes[0, 1:-1].flat
    for ax in [*axes[2:, 0], *places[groups:]]:
        ax.axis("off")
    for group, ax in enumerate(places[:groups]):
        ax.imshow(wheel(*fields[:, group] / longest), extent=(0, width, height, 0))
        if mask is not None:
            labels = label_map("mask", mask)
            draw_outline(ax, labels, INK, 0.7, "truth", (width, height), False)
        ax.set_title(f"group {group + 1}" if groups > 1 else "all channels")
    for ax in [axes[0, 0], *places[:groups]]:
        bare(ax)
    return fig


def _draw_wheel(ax: Axes, longest: float) -> None:
    side = np.linspace(-1, 1, 201)
    x, y = np.meshgrid(side, side)
    colours = np.dstack([wheel(x, y), (np.hypot(x, y) <= 1).astype(float)])
    ax.imshow(colours, extent=(-1, 1, 1, -1), interpolation="bilinear")
    ax.set(xlim=(-1.25, 1.25), ylim=(1.25, -1.25))
    ax.axis("off")
    ax.set_title(f"edge: {longest:.2f} pixels", loc="center")
    for x0, y0, text in (
        (1.1, 0, "→"),
        (-1.1, 0, "←"),
        (0, -1.12, "↑"),
        (0, 1.12, "↓"),
    ):
        ax.text(x0, y0, text, ha="center", va="center", fontsize=12)


@styled
def scope_map(
    scope: Any, scale: int, groups: int, image: Any, *, mask: Any = None
) -> Figure:
    """The learned ranges beside the image: where above their start, where below.

    Args:
        scope: (2·g·s², h, w), in feature pixels, as ``DySample.walking_range`` gives
            it for dynamic scope; averaged over both axes, all groups and the s² points
            of a pixel.
        scale: s.
        groups: g.
        image: (3, H, W).
        mask: (H, W) labels whose boundary is drawn, if given.
    """
    values, height, width = per_point("scope", scope, scale, groups)
    shown = values.mean(axis=(0, 1, 2, 3))
    far = max(float(np.abs(shown - 0.25).max()), 0.01)
    fig, axes = plt.subplots(
        1, 2, figsize=(8, 3.7 * height / width + 0.4), layout="constrained"
    )
    show(axes[0], image, (width, height))
    axes[0].set_title("image")
    drawn = axes[1].imshow(
        shown,
        cmap=DIVERGING,
        vmin=0.25 - far,
        vmax=0.25 + far,
        extent=(0, width, height, 0),
    )
    axes[1].set_title("range, mean of a pixel's points")
    for ax in axes:
        bare(ax)
        if mask is not None and ax is axes[1]:
            labels = label_map("mask", mask)
            draw_outline(ax, labels, INK, 0.7, "truth", (width, height), False)
    bar = fig.colorbar(drawn, ax=axes[1], fraction=0.05)
    bar.set_label("feature pixels (start: 0.25)")
    return fig
