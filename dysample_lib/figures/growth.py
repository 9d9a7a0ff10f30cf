"""How cost grows: measurements along an axis, and the power laws nearest to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..cost import Growth, conditions
from ..cost.report import COLUMNS
from ..ops.checks import check_choice
from .cost import logarithmic, note
from .style import WIDTH, colour, method, styled

AXIS_NAMES = {
    "pixels": "pixels of the map, H·W",
    "channels": "channels, C",
    "groups": "groups, g",
    "scale": "scale, s",
}


@styled
def growth_plot(growths: Sequence[Growth], measure: str = "forward_ms") -> Figure:
    """One kind of cost along each axis, log-log, with the fitted power laws.

    A panel for each axis, a line for each upsampler; the legends give the exponents.

    Args:
        growths: of one machine.
        measure: a key of ``dysample_lib.cost.report.COLUMNS``.

    Raises:
        ValueError: if there are none, or a cost is zero and has no logarithm.
    """
    check_choice("measure", measure, tuple(COLUMNS))
    environment = conditions([cost for growth in growths for cost in growth.costs])
    axes_of = list(dict.fromkeys(growth.axis for growth in growths))
    columns = min(2, len(axes_of))
    rows = math.ceil(len(axes_of) / columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(8 if columns > 1 else WIDTH, 3.8 * rows),
        squeeze=False,
        layout="constrained",
    )
    for ax, axis in zip(axes.flat, axes_of, strict=False):
        shown = [growth for growth in growths if growth.axis == axis]
        for growth in shown:
            _power_law(ax, growth, measure)
        values = sorted({value for growth in shown for value in growth.values})
        logarithmic(ax, "x", values)
        ax.set_xticks(values)
        logarithmic(ax, "y", [y for line in ax.get_lines() for y in line.get_ydata()])
        ax.set(xlabel=AXIS_NAMES[axis], ylabel=COLUMNS[measure].title)
        ax.grid()
        ax.legend(title="exponent", fontsize=9, title_fontsize=9)
    for ax in axes.flat[len(axes_of) :]:
        ax.remove()
    note(fig, environment)
    return fig


def _power_law(ax: Axes, growth: Growth, measure: str) -> None:
    name, unit = growth.upsampler, COLUMNS[measure].unit
    measured = np.array(growth.measured(measure)) / unit
    if not measured.all():
        raise ValueError(
            f"measure has to be one that {name} has some of, got {measure!r}: zero has "
            "no logarithm"
        )
    exponent, factor = growth.fit(measure)
    ends = np.array([min(growth.values), max(growth.values)], dtype=float)
    ax.plot(
        ends,
        factor * ends**exponent / unit,
        color=colour(name),
        label=f"{exponent:.2f}".replace("-", "−") + f"  {method(name)}",
        gid=f"{name} fit",
    )
    ax.plot(growth.values, measured, "o", color=colour(name), gid=name)
