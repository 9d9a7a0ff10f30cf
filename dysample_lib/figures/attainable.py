"""What an upsampler can give at one place: points of a line, or of a whole area."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial import ConvexHull

from ._inputs import array
from .style import COLOURS, INK, MUTED, WIDTH, styled


@styled
def attainable_values(row: Any, kernel: int = 5, pixel: int | None = None) -> Figure:
    """The pairs (A, B) that one output value of a two-channel row can take.

    Left by moving a sampling point along the row, right by weighing the pixels of a
    window with any kernel whose weights are positive and sum to one.

    Args:
        row: (2, n), the values of channels A and B at n pixels, not all on a line.
        kernel: width of the window in pixels, odd.
        pixel: the pixel in the window's middle; the row's own middle by default.
    """
    values = array("row", row, 2).astype(float)
    if values.shape[0] != 2 or values.shape[1] < 3:
        raise ValueError(f"row has to be (2, n) with n ≥ 3, got {values.shape}")
    if kernel < 3 or kernel % 2 == 0:
        raise ValueError(f"kernel has to be an odd integer ≥ 3, got {kernel!r}")
    size = values.shape[1]
    middle = size // 2 if pixel is None else pixel
    if not 0 <= middle < size:
        raise ValueError(f"pixel has to be in 0 … {size - 1}, got {pixel}")
    steps = np.arange(-(kernel // 2), kernel // 2 + 1)
    window = values[:, np.clip(middle + steps, 0, size - 1)].T  # border held
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 3.6), sharex=True, sharey=True, layout="constrained"
    )
    left.plot(*values, color=COLOURS["grouping"], linewidth=3, gid="line")
    left.set_title("a sampling point: a line")
    hull = window[ConvexHull(window).vertices]
    right.fill(*hull.T, color=COLOURS["carafe"], alpha=0.3, linewidth=0, gid="area")
    right.set_title(f"a {kernel}-pixel kernel: an area")
    for ax in (left, right):
        _pixels(ax, values)
        ax.set(xlabel="channel A", aspect="equal")
    left.set_ylabel("channel B")
    return fig


def _pixels(ax: Axes, values: np.ndarray) -> None:
    ax.plot(*values, "s", color=INK, markersize=7, gid="pixels")
    for number, place in enumerate(values.T, start=1):
        ax.annotate(str(number), place, (7, 5), textcoords="offset points", color=MUTED)
    ax.margins(0.15)
