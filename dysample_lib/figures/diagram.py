"""The testbed as a drawing."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .style import HIGHLIGHT, INK, MUTED, styled

UNDER_TEST = "#fde3d0"
PLAIN = "#e4edf5"
DATA = "#f4f4f4"


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
        _box(ax, x, y, name, shape, fill)
    for i in range(len(spots) - 1):
        _arrow(ax, spots[i], spots[i + 1])
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


def _box(ax: Axes, x: float, y: float, name: str, shape: str, fill: str) -> None:
    tested = fill == UNDER_TEST
    ax.add_patch(
        FancyBboxPatch(
            (x - 0.66, y - 0.38),
            1.32,
            0.76,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=fill,
            edgecolor=HIGHLIGHT if tested else MUTED,
            linewidth=2 if tested else 1,
            gid="under test" if tested else "box",
        )
    )
    ax.text(x, y, name, ha="center", va="center", fontsize=11.5)
    ax.text(x, y - 0.46, shape, ha="center", va="top", fontsize=10, color=INK)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    (x0, y0), (x1, y1) = start, end
    if y0 == y1:
        side = 0.68 if x1 > x0 else -0.68
        ends = ((x0 + side, y0), (x1 - side, y1))
    else:
        ends = ((x0, y0 - 0.78), (x1, y1 + 0.4))
    ax.add_patch(
        FancyArrowPatch(
            *ends, arrowstyle="-|>", mutation_scale=14, color=INK, shrinkA=0, shrinkB=0
        )
    )
