"""Numbers over epochs and over variants: curves, means with intervals, differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..metrics.registry import find_metric
from ..study.intervals import Estimate, format_difference, format_mean
from .style import INK, NARROW, WIDTH, colour, label, styled


@styled
def learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    metric: str = "boundary_iou",
) -> Figure:
    """Training loss, and one metric where it was measured, against epochs.

    Args:
        histories: upsampler → rows with ``"epoch"`` and ``"loss"``, some of them with
            the metric, as it is stored.
        metric: the key to draw in the second panel; left out if no row has it.
    """
    measure = find_metric(metric)
    if not histories or not all(histories.values()):
        raise ValueError("histories has to hold at least one row for each name")
    measured = any(metric in row for rows in histories.values() for row in rows)
    count = 2 if measured else 1
    fig, axes = plt.subplots(
        1, count, figsize=(8, 3.6), squeeze=False, layout="constrained"
    )
    _curves(axes[0, 0], histories, "loss", 1.0)
    axes[0, 0].set_title("training loss")
    if measured:
        _curves(axes[0, 1], histories, metric, measure.scale)
        axes[0, 1].set_title(f"{measure.heading}, validation")
    return fig


def _curves(
    ax: Axes,
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    key: str,
    factor: float,
) -> None:
    ends: list[tuple[float, float, str]] = []
    for name, rows in histories.items():
        kept = [(row["epoch"], factor * row[key]) for row in rows if key in row]
        if not kept:
            continue
        x, y = zip(*kept, strict=True)
        marker = "o" if len(kept) <= 12 else None
        ax.plot(x, y, color=colour(name), marker=marker, markersize=4, gid=name)
        ends.append((x[-1], y[-1], name))
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(axis="y")
    _name_ends(ax, ends)


def _name_ends(ax: Axes, ends: list[tuple[float, float, str]]) -> None:
    """Write each name beside its curve's end, moved apart where they would touch."""
    if not ends:
        return
    low, high = ax.get_ylim()
    gap = 0.075 * (high - low)
    ends = sorted(ends, key=lambda end: end[1])
    heights = [ends[0][1]]
    for _, y, _ in ends[1:]:
        heights.append(max(y, heights[-1] + gap))
    # Half of the push goes up, half down, so that names stay beside their curves.
    shift = float(np.mean([h - y for h, (_, y, _) in zip(heights, ends, strict=True)]))
    for height, (x, _, name) in zip(heights, ends, strict=True):
        ax.annotate(
            label(name).split(" (")[0],
            (x, height - shift),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=colour(name),
            fontweight="bold",
            fontsize=10,
            annotation_clip=False,
        )


def numbers(name: str, value: Any) -> tuple[float, float, float]:
    """Mean, low and high of an estimate; a plain number has no interval."""
    if isinstance(value, Real):
        return float(value), math.nan, math.nan
    try:
        mean, low, high = value.mean, value.low, value.high
    except AttributeError:
        raise TypeError(
            f"{name} has to be a number or have mean, low and high, got "
            f"{type(value).__name__}"
        ) from None
    unknown = low is None or high is None
    return float(mean), *((math.nan,) * 2 if unknown else (float(low), float(high)))


def _interval(ax: Axes, y: float, name: str, value: Any, scale: float) -> None:
    """A dot, hollow where nothing is known of its interval, and the interval."""
    mean, low, high = numbers(name, value)
    ink, known = colour(name), not math.isnan(low)
    if known:
        ax.plot(
            [scale * low, scale * high],
            [y, y],
            color=ink,
            linewidth=2.5,
            solid_capstyle="butt",
            gid=f"{name} interval",
        )
    ax.plot(
        [scale * mean],
        [y],
        "o",
        markersize=8,
        color=ink,
        gid=name,
        markerfacecolor=ink if known else "white",
    )


def _rows(
    estimates: Mapping[str, Any], metric: str, write: Callable[[Estimate, str], str]
) -> tuple[Figure, Axes, list[tuple[float, float, float]]]:
    """One row per estimate, first on top: name and number over dot and interval."""
    fig, ax = plt.subplots(
        figsize=(NARROW, 0.8 + 0.48 * len(estimates)), layout="constrained"
    )
    scale = find_metric(metric).scale
    rows = [numbers(name, value) for name, value in estimates.items()]
    for y, (name, value) in enumerate(estimates.items()):
        mean, low, high = rows[y]
        ink = colour(name)
        _interval(ax, y, name, value, scale)
        over: dict[str, Any] = {
            "y": y - 0.3,
            "va": "center",
            "transform": ax.get_yaxis_transform(),
            # Grid lines end at the words.
            "bbox": {"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1},
        }
        ax.text(0, s=label(name), color=ink, fontweight="bold", fontsize=11, **over)
        text = write(Estimate(mean, low, high, n=0), metric)
        ax.text(1, s=text, ha="right", fontsize=11, **over)
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.6, -0.6)
    ax.grid(axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ax.spines["left"].set_visible(False)
    return fig, ax, rows


@styled
def ladder_plot(
    estimates: Mapping[str, Any], metric: str = "mean_iou", title: str = ""
) -> Figure:
    """A metric for each variant, in the order given, with intervals where known.

    Args:
        estimates: upsampler → number as it is stored, or an object with ``mean``,
            ``low`` and ``high``. A hollow dot has no interval.
        metric: the metric's key, for the axis.
        title: over the plot.
    """
    if not estimates:
        raise ValueError("estimates has to hold at least one upsampler, got none")
    measure = find_metric(metric)
    fig, ax, rows = _rows(estimates, metric, format_mean)
    intervals = any(not math.isnan(low) for _, low, _ in rows)
    ax.set_xlabel(measure.heading + (", mean and 95 % interval" if intervals else ""))
    ax.set_title(title)
    return fig


@styled
def forest_plot(
    differences: Mapping[str, Any], metric: str = "mean_iou", title: str = ""
) -> Figure:
    """Paired differences with 95 % intervals against the line of no difference.

    Args:
        differences: step → estimate of the difference to its predecessor, as it is
            stored: 0.01 of a share is drawn as one percentage point.
        metric: the metric's key, for the axis.
        title: over the plot.
    """
    if not differences:
        raise ValueError("differences has to hold at least one step, got none")
    measure = find_metric(metric)
    fig, ax, _ = _rows(differences, metric, format_difference)
    ax.axvline(0, color=INK, linewidth=1.2, zorder=0, gid="zero")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.1 * (high - low)), max(high, 0.1 * (high - low)))
    ax.set_xlabel(
        f"{measure.title}: difference to the step before [{measure.difference_unit}]"
    )
    ax.set_title(title)
    return fig


@styled
def forest_panels(
    settings: Mapping[str, Mapping[str, Any]], metric: str = "mean_iou"
) -> Figure:
    """The same differences in several settings, a panel each with a scale of its own.

    The band around 0 is the margin within which two models count as equal.

    Args:
        settings: title → step → estimate of the difference to its predecessor, as it
            is stored; a step that a setting lacks has an empty row there.
        metric: the metric's key, for the axes.
    """
    steps = list(dict.fromkeys(step for of in settings.values() for step in of))
    if not steps:
        raise ValueError("settings has to hold at least one step, got none")
    measure = find_metric(metric)
    fig, axes = plt.subplots(
        1,
        len(settings),
        figsize=(WIDTH, 1.2 + 0.36 * len(steps)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (title, differences) in zip(axes[0], settings.items(), strict=True):
        ends = measure.scale * measure.margin
        ax.axvspan(-ends, ends, color="#e8e8e8", zorder=0, gid="margin")
        ax.axvline(0, color=INK, linewidth=1.2, zorder=0, gid="zero")
        for y, step in enumerate(steps):
            if step in differences:
                _interval(ax, y, step, differences[step], measure.scale)
        ax.set_title(title)
        ax.set_xlabel(f"[{measure.difference_unit}]")
        ax.grid(axis="x")
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(steps)), [label(step) for step in steps])
    for text, step in zip(axes[0, 0].get_yticklabels(), steps, strict=True):
        text.set(color=colour(step), fontweight="bold")
    axes[0, 0].set_ylim(len(steps) - 0.5, -0.5)
    fig.suptitle(f"{measure.title}: difference to the step before", x=0.01, ha="left")
    return fig
