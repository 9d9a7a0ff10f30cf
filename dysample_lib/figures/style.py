"""How every picture looks: type, colours, names, and the decorator that applies them.

Widths are at most 8 inches; rows of words are narrow, which a phone shows larger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes

from ..upsamplers.registry import label as label
from ..upsamplers.registry import method as method

WIDTH = 7.2
"""The usual width of a figure, in inches."""

NARROW = 5.6
"""The width of rows of words and numbers, which a phone then shows in larger type."""

COLOURS: dict[str, str] = {
    "nearest": "#8a8a8a",
    "bilinear": "#3c3c3c",
    "naive": "#aa7744",
    "initial_offsets": "#339911",
    "static_scope": "#aa2288",
    "grouping": "#d55e00",
    "dynamic_scope": "#0072b2",
    "dysample_s": "#440099",
    "dysample_s_plus": "#3377ee",
    "carafe": "#dd00ee",
    "fade": "#770000",
    "fade_ungated": "#995555",
    "fade_lite": "#0099bb",
    "sapa": "#ff1177",
    "deconv": "#005522",
    "pixel_shuffle": "#0000ff",
}
"""One colour per upsampler, the same in every picture.

The fixed rules are grey. Any two differ by at least 12 in CIELAB as seen with full
colour vision, deuteranopia or protanopia, and each has a contrast of at least 3 to
white.
"""

INK = "#222222"
MUTED = "#6b6b6b"
HIGHLIGHT = "#d55e00"
TRUTH = "#ffffff"
PREDICTED = "#ff9500"
WRONG = "#e0006c"
IGNORED = "#4a4a4a"
SEQUENTIAL = "cividis"
DIVERGING = "PuOr_r"

CLASS_COLOURS = (
    "#7fb2d6",  # water comes first in the default data set
    "#eadfbf",
    "#3f6f9f",
    "#b7a6d6",
    "#86a873",
    "#d99b6c",
    "#5b5b7b",
    "#f2c14e",
    "#8c5a4a",
    "#a9d6c5",
    "#c77b9b",
    "#d9d9d9",
)
"""Fills of label maps, by class index."""

# Any: each release of matplotlib types its settings anew.
STYLE: Any = {
    "figure.dpi": 130,
    "savefig.dpi": 130,
    "savefig.format": "png",
    "savefig.transparent": False,
    # Opaque white: ink stays legible where the page around it is dark.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "figure.titlesize": 12.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": False,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "lines.linewidth": 2.0,
    "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=["#0072b2", "#d55e00", "#339911", "#aa2288"]),
}

P = ParamSpec("P")
R = TypeVar("R")


def use_style() -> None:
    """Give the reader's own plots the book's look. The figures here have it anyway."""
    plt.rcParams.update(STYLE)


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the book's style, whatever the session's is."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # Not rc_context: a notebook turns interactive mode on with the first figure,
        # and rc_context would turn it off again, so that no later figure is shown.
        before = {name: plt.rcParams[name] for name in STYLE}
        plt.rcParams.update(STYLE)
        try:
            return draw(*args, **kwargs)
        finally:
            plt.rcParams.update(before)

    return wrapper


def colour(name: str) -> str:
    """The colour of an upsampler; ink for any other text."""
    return COLOURS.get(name, INK)


def bare(ax: Axes, frame: bool = True) -> None:
    """Take the ticks off ``ax``, and leave a thin frame or none."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=frame, color=MUTED, linewidth=0.8)
