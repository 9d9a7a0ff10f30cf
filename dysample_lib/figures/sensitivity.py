"""What a setting does: estimates with their intervals, against its values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ..metrics.registry import find_metric
from .curves import numbers
from .style import INK, WIDTH, colour, label, styled

OTHERS = ("#0072b2", "#d55e00", "#339911", "#aa2288", "#8a6d00", "#00828a")
"""For series that are no upsampler, in their order."""


@styled
def sensitivity_plot(
    series: Mapping[str, Mapping[float, Any]],
    metric: str = "boundary_iou",
    *,
    xlabel: str,
    ylabel: str | None = None,
    differences: bool = True,
) -> Figure:
    """A line for each series over the values of a setting, with 95 % intervals.

    Args:
        series: name → value of the setting, above 0 → estimate as it is stored: a
            number, or an object with ``mean``, ``low`` and ``high``.
        metric: what the estimates are of.
        xlabel: what the setting is.
        ylabel: by default the metric with its unit.
        differences: the estimates are of differences; then 0 is drawn, and the band
            within which two models count as equal.

    Raises:
        ValueError: if there is no series, an empty one, or a value that is not above 0.
    """
    measure = find_metric(metric)
    if not series or not all(series.values()):
        raise ValueError("series has to hold at least one value for each name")
    values = sorted({value for points in series.values() for value in points})
    if values[0] <= 0:
        raise ValueError(f"series has to have values above 0, got {values[0]}")
    fig, ax = plt.subplots(figsize=(WIDTH, 3.9), layout="constrained")
    if differences:
        margin = measure.scale * measure.margin
        ax.axhspan(-margin, margin, color=INK, alpha=0.07, linewidth=0, gid="margin")
        ax.axhline(0, color=INK, linewidth=1.2, gid="zero")
    # Series stand a little apart, so that intervals do not cover each other.
    apart = 0.02 * math.log(max(2.0, values[-1] / values[0]))
    for place, (name, points) in enumerate(series.items()):
        x = np.exp(apart * (place - (len(series) - 1) / 2)) * np.array(sorted(points))
        rows = [numbers(name, points[value]) for value in sorted(points)]
        mean, low, high = measure.scale * np.array(rows).T
        known = label(name) != name
        ink = colour(name) if known else OTHERS[place % len(OTHERS)]
        ax.plot(x, mean, "o-", color=ink, markersize=5, label=label(name), gid=name)
        ax.vlines(x, low, high, color=ink, linewidth=2.2, gid=f"{name} intervals")
    ax.set_xscale("log")
    ax.set_xticks(values)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    unit = measure.difference_unit if differences else measure.unit
    what = f"{measure.title}: difference" if differences else measure.title
    ax.set(xlabel=xlabel, ylabel=ylabel or f"{what} [{unit}]")
    ax.grid(axis="y")
    if len(series) > 1:
        fig.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10)
    return fig
