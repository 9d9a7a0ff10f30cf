"""Rounding errors: how far an upsampler is from itself in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .style import COLOURS, INK, MUTED, styled

LINES: tuple[dict[str, Any], ...] = (
    {"color": COLOURS["grouping"], "marker": "o", "markersize": 4, "zorder": 4},
    {"color": INK, "marker": "s", "markersize": 7, "zorder": 3},
    {"color": COLOURS["dynamic_scope"], "marker": "^", "markersize": 10, "zorder": 2},
)
"""One look for each series. The first is on top and the smallest, so that series with
equal errors are all seen."""


@styled
def error_against_width(
    errors: Mapping[str, Mapping[str, Mapping[int, float]]],
    limits: Mapping[str, float] | None = None,
) -> Figure:
    """The error of several formulations against the width of the map, in log-log axes.

    Args:
        errors: panel, for instance a dtype → name of a series → width in pixels →
            error, larger than 0.
        limits: panel → an error that is drawn as a level line.

    Raises:
        ValueError: if there is no panel, more than 3 panels, more than 3 series, a
            panel without a series, a series without a value, or an error that a
            logarithm does not have.
    """
    names = list(dict.fromkeys(name for panel in errors.values() for name in panel))
    if not 1 <= len(errors) <= 3:
        raise ValueError(f"errors has to hold 1 to 3 panels, got {len(errors)}")
    if not 1 <= len(names) <= len(LINES):
        raise ValueError(
            f"errors has to hold 1 to {len(LINES)} series, got {len(names)}: {names}"
        )
    for panel, series in errors.items():
        if not series:
            raise ValueError(f"errors[{panel!r}] has to hold a series, got none")
        for name, points in series.items():
            if not points or not all(value > 0 for value in points.values()):
                raise ValueError(
                    f"errors[{panel!r}][{name!r}] has to hold errors above 0, got "
                    f"{dict(points)}"
                )
    looks = dict(zip(names, LINES, strict=False))
    fig, axes = plt.subplots(
        1,
        len(errors),
        figsize=(8, 4.4),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (panel, series) in zip(axes[0], errors.items(), strict=True):
        _panel(ax, panel, series, looks, (limits or {}).get(panel))
    axes[0, 0].set_ylabel("largest error")
    fig.supxlabel("width of the map (pixels)", fontsize=11)
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    if limits:
        handles.append(Line2D([], [], color=MUTED, linewidth=1, label="limit"))
    fig.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), frameon=False
    )
    return fig


def _panel(
    ax: Axes,
    title: str,
    series: Mapping[str, Mapping[int, float]],
    looks: Mapping[str, dict[str, Any]],
    limit: float | None,
) -> None:
    for name, points in series.items():
        widths, values = zip(*sorted(points.items()), strict=True)
        ax.plot(widths, values, gid=name, **looks[name])
    if limit is not None:
        ax.axhline(limit, color=MUTED, linewidth=1, zorder=1, gid="limit")
    ax.set_title(title)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.xaxis.set_major_formatter(lambda width, _: f"{width:g}")
    ax.grid(axis="y")
