"""Networks as drawings: the two testbeds, a feature pyramid, and what reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .style import HIGHLIGHT, INK, MUTED, styled

UNDER_TEST = "#fde3d0"
PLAIN = "#e4edf5"
DATA = "#f4f4f4"

STEP = 1.5
"""Height of a pyramid's level, in the drawing's units."""


@styled
def testbed_diagram(
    size: int = 96,
    *,
    channels: int = 64,
    width: int = 32,
    classes: int = 2,
    stride: int = 16,
) -> Figure:
    """The pointwise testbed: who sees neighbours, and who only sees its own pixel.

    Args:
        size: side of the image, in pixels.
        channels: channels that the encoder ends with.
        width: channels that the upsamplers work on.
        classes: K.
        stride: of the encoder.
    """
    low = size // stride
    boxes = [
        ("image", f"3 × {size} × {size}", DATA),
        (f"encoder\nstride {stride}", f"{channels} × {low} × {low}", PLAIN),
        ("1×1 conv\n+ norm", f"{width} × {low} × {low}", PLAIN),
        ("upsampler\n×2", f"{width} × {2 * low} × {2 * low}", UNDER_TEST),
        ("upsampler\n×2", f"{width} × {4 * low} × {4 * low}", UNDER_TEST),
        ("upsampler\n×2", f"{width} × {8 * low} × {8 * low}", UNDER_TEST),
        ("1×1\nclassifier", f"{classes} × {8 * low} × {8 * low}", PLAIN),
        (f"bilinear\n×{stride // 8}", f"{classes} × {size} × {size}", DATA),
    ]
    fig, ax = plt.subplots(figsize=(8, 4.1), layout="constrained")
    # Two rows of four, the second one running back: wide enough type for a phone.
    places = [(i, 1) for i in range(4)] + [(3 - i, 0) for i in range(4)]
    spots = [(2.0 * column, 2.1 * row) for column, row in places]
    for (x, y), (name, shape, fill) in zip(spots, boxes, strict=True):
        _box(ax, x, y, name, fill, 1.32, 0.76, size=11.5)
        ax.text(x, y - 0.46, shape, ha="center", va="top", fontsize=10, color=INK)
    for (x0, y0), (x1, y1) in pairwise(spots):
        if y0 == y1:
            side = 0.68 if x1 > x0 else -0.68
            _arrow(ax, (x0 + side, y0), (x1 - side, y1))
        else:
            _arrow(ax, (x0, y0 - 0.78), (x1, y1 + 0.4))
    ax.text(
        3.1,
        0.98,
        "after the encoder, only these and the fixed\n"
        "last layer look beyond a single pixel",
        ha="center",
        va="center",
        color=HIGHLIGHT,
        fontweight="bold",
    )
    ax.set(xlim=(-0.85, 6.85), ylim=(-0.95, 2.75), aspect="equal")
    ax.axis("off")
    return fig


@styled
def segformer_diagram(
    channels: Sequence[int] = (24, 40, 112, 320),
    *,
    size: int = 96,
    width: int = 32,
    classes: int = 2,
    stride: int = 4,
    last_layer: str = "1×1 classifier",
) -> Figure:
    """The head of SegFormer: every level is brought to the finest one's size.

    Args:
        channels: of the encoder's maps, finest first.
        size: side of the image, in pixels.
        width: channels that the upsamplers work on.
        classes: K, the channels of what comes out.
        stride: of the finest map.
        last_layer: what the layer that gives them is called.
    """
    if len(channels) < 2:
        raise ValueError(
            f"channels has to be of at least two maps, got {len(channels)}: {channels}"
        )
    finest, last = size // stride, len(channels) - 1
    join = 2.0 + 1.3 * last  # where the levels meet
    fig, ax = plt.subplots(figsize=(8, 1.1 + 1.05 * last), layout="constrained")
    for level, depth in enumerate(channels):
        y, side = 1.25 * (last - level), finest // 2**level
        name = f"stride {stride * 2**level}\n{depth} × {side} × {side}"
        _box(ax, 0, y, name, PLAIN, 1.6, 0.76)
        ax.text(1.03, y + 0.08, "1×1", ha="center", va="bottom", fontsize=10)
        x = 0.82
        for step in range(level):
            side *= 2
            to = join - 0.85 - 1.3 * (level - 1 - step)
            _arrow(ax, (x, y), (to - 0.48, y))
            _box(ax, to, y, "×2", UNDER_TEST, 0.94, 0.5, "under test", size=11.5)
            shape = f"{width} × {side} × {side}"
            ax.text(to, y - 0.31, shape, ha="center", va="top", fontsize=9.5)
            x = to + 0.48
        ax.plot([x, join], [y, y], color=INK, linewidth=1)
    top = 1.25 * last
    ax.plot([join, join], [0, top], color=INK, linewidth=1)
    end = join + 1.2
    both = [
        (f"joined\n{width * len(channels)} × {finest} × {finest}", PLAIN),
        (f"1×1 conv + norm\n{width} × {finest} × {finest}", PLAIN),
        (f"{last_layer}\n{classes} × {finest} × {finest}", PLAIN),
        (f"bilinear ×{stride}\n{classes} × {size} × {size}", DATA),
    ]
    gap = (top + 0.3) / 3
    _arrow(ax, (join, top), (end - 0.92, top))
    _column(ax, end, top, gap, both, 1.8, 0.76)
    ax.set(xlim=(-0.85, end + 0.95), ylim=(-0.75, top + 0.45), aspect="equal")
    ax.axis("off")
    return fig


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
    height = _height(levels)
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
        fill, gid = (UNDER_TEST, "under test") if learned else (DATA, "fixed")
        _box(ax, 2.35, y - STEP / 2, upsampler, fill, 1.5, 0.36, gid)
        ax.plot([2.35, 2.35], [y - 0.36, y - STEP / 2 + 0.18], color=INK, linewidth=1)
        _arrow(ax, (2.35, y - STEP / 2 - 0.18), (2.35, y - STEP + 0.37))


@styled
def detector_diagram(
    levels: Mapping[str, tuple[int, int, int]],
    channels: int = 32,
    *,
    heads: Sequence[str] = ("class and box",),
) -> Figure:
    """A two-stage detector on a feature pyramid: what is compared is orange.

    Args:
        levels: name → (C, H, W) of the encoder's maps, finest first.
        channels: channels of the pyramid.
        heads: what is predicted of each region, a box each.

    Raises:
        ValueError: for fewer than two levels, between which nothing stands.
    """
    height = _height(levels)
    end, bar = 5.15, 3.44
    fig, ax = plt.subplots(figsize=(8, 8 * (height + 1.1) / 7), layout="constrained")
    _pyramid(ax, levels, channels, "×2", True)
    ax.plot([bar, bar], [0, height], color=INK, linewidth=1)
    steps = [("proposals\n(RPN)", PLAIN), ("regions\n(RoIAlign)", PLAIN)]
    steps += [(name, DATA) for name in heads]
    gap = height / (len(steps) - 1)
    _column(ax, end, height, gap, steps, 1.7, 0.7)
    for y in (height, height - gap):  # proposals and regions read every level
        _arrow(ax, (bar, y), (end - 0.87, y))
    ax.set(xlim=(-0.9, end + 0.95), ylim=(-0.55, height + 0.55), aspect="equal")
    ax.axis("off")
    return fig


@styled
def panoptic_diagram(
    levels: Mapping[str, tuple[int, int, int]],
    channels: int = 32,
    *,
    classes: int = 3,
) -> Figure:
    """A semantic branch on a feature pyramid: what is compared is orange.

    Args:
        levels: name → (C, H, W) of the encoder's maps, finest first.
        channels: channels of the pyramid.
        classes: of the branch.

    Raises:
        ValueError: for fewer than two levels, between which nothing stands.
    """
    height, last = _height(levels), len(levels) - 1
    step, side = 1.15, 0.74
    join = 3.5 + step * last + 0.35
    end = join + 1.15
    fig, ax = plt.subplots(
        figsize=(8, 8 * (height + 1.1) / (end + 1.75)), layout="constrained"
    )
    _pyramid(ax, levels, channels, "×2", True)
    for level in range(len(levels)):
        y, x = STEP * level, 3.44
        for k in range(level):
            to = join - 0.35 - step * (level - k) + step - side / 2
            _arrow(ax, (x, y), (to - side / 2, y))
            _box(ax, to, y, "×2", UNDER_TEST, side, 0.5, "under test", size=11.5)
            x = to + side / 2
        ax.plot([x, join], [y, y], color=INK, linewidth=1)
    ax.plot([join, join], [0, height], color=INK, linewidth=1)
    _, rows, columns = next(iter(levels.values()))
    steps = [
        (f"sum\n{channels} ×\n{rows} × {columns}", PLAIN),
        (f"1×1 conv\n{classes} ×\n{rows} × {columns}", DATA),
    ]
    _column(ax, end, height, STEP, steps, 1.5, 0.95)
    _arrow(ax, (join, height), (end - 0.77, height))
    ax.set(xlim=(-0.9, end + 0.85), ylim=(-0.55, height + 0.55), aspect="equal")
    ax.axis("off")
    return fig


def _height(levels: Mapping[str, tuple[int, int, int]]) -> float:
    """Of a pyramid's drawing."""
    if len(levels) < 2:
        raise ValueError(
            f"levels has to hold at least two maps, got {len(levels)}: {[*levels]}"
        )
    return STEP * (len(levels) - 1)


def _column(
    ax: Axes,
    x: float,
    top: float,
    gap: float,
    steps: Sequence[tuple[str, str]],
    width: float,
    height: float,
) -> None:
    """Boxes (name, fill) from ``top`` down, each led to by an arrow from the last."""
    for row, (name, fill) in enumerate(steps):
        y = top - gap * row
        _box(ax, x, y, name, fill, width, height)
        if row:
            _arrow(ax, (x, y + gap - height / 2), (x, y + height / 2 + 0.02))


def _box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    fill: str,
    width: float,
    height: float,
    gid: str = "",
    *,
    size: float = 10,
) -> None:
    """A rounded box with words in it; what is under test is orange."""
    tested = fill == UNDER_TEST
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=fill,
            edgecolor=HIGHLIGHT if tested else MUTED,
            linewidth=2 if tested else 1,
            gid=gid or ("under test" if tested else "map"),
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=size)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=13,
            color=INK,
            shrinkA=0,
            shrinkB=0,
        )
    )
