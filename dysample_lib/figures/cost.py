"""What upsamplers cost and what they buy: accuracy against latency."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ..cost import Cost, by_machine, conditions
from ..cost.report import COLUMNS
from ..metrics.registry import find_metric
from ..ops.checks import check_choice
from ..upsamplers import UPSAMPLERS
from .curves import numbers
from .style import MUTED, NARROW, colour, method, styled

LARGEST = 1500.0
"""Area of the largest bubble, in square points."""


class Bubble(NamedTuple):
    """Where one upsampler is: milliseconds, the metric as shown, radius in points."""

    name: str
    x: float
    y: float
    interval: tuple[float, float]
    radius: float


@styled
def cost_bubbles(
    costs: Sequence[Cost],
    scores: Mapping[str, Any],
    *,
    latency: str = "forward_ms",
    metric: str = "boundary_iou",
    title: str = "",
) -> Figure:
    """Accuracy against latency; the area of a bubble is the number of operations.

    Those that read a second, high-resolution map are told apart: a hollow dot, a broken
    edge, "guided" after the name. Under the plot stands what costs were measured on.
    Each machine has a panel, which bears its name where there are several.

    Args:
        costs: of one setting, each upsampler's once a machine.
        scores: upsampler → number as it is stored, or an object with ``mean``,
            ``low`` and ``high``; one for each of ``costs``.
        latency: ``"forward_ms"`` or ``"training_ms"``.
        metric: what the scores are, for the axis.
        title: over the plot.

    Raises:
        ValueError: if the costs cannot be compared, or a score is missing.
    """
    check_choice("latency", latency, ("forward_ms", "training_ms"))
    measure = find_metric(metric)
    machines = by_machine(costs) or [[]]
    environment = "; ".join(map(conditions, machines))
    sizes = {(cost.shapes()[0], cost.output) for cost in costs}
    if len(sizes) > 1:
        raise ValueError(f"costs has to be of maps of one size, got {sorted(sizes)}")
    missing = [cost.upsampler for cost in costs if cost.upsampler not in scores]
    if missing:
        raise ValueError(f"scores has to have {', '.join(missing)}, got {[*scores]}")
    most = max(cost.flops for cost in costs)
    if most == 0:
        raise ValueError("costs has to hold at least one with operations, got none")
    several = len(machines) > 1
    fig, axes = plt.subplots(
        1,
        len(machines),
        figsize=(NARROW if not several else 4.6 * len(machines), 4.8),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    panels = []
    for ax, measured in zip(axes.flat, machines, strict=True):
        name = measured[0].device_name if several else ""
        ax.set_title(", ".join(filter(None, (title, name))))
        panels.append((ax, _draw_bubbles(ax, measured, scores, latency, metric, most)))
    axes[0, 0].set_ylabel(measure.heading)
    _area_legend(fig, most)
    note(fig, environment)
    for ax, bubbles in panels:
        _name_bubbles(fig, ax, bubbles)
    return fig


def _draw_bubbles(
    ax: Axes,
    costs: Sequence[Cost],
    scores: Mapping[str, Any],
    latency: str,
    metric: str,
    most: int,
) -> list[Bubble]:
    """One machine's."""
    scale = find_metric(metric).scale
    bubbles = []
    for cost in costs:
        name, x = cost.upsampler, getattr(cost, latency)
        mean, low, high = (scale * n for n in numbers(name, scores[name]))
        area, ink = LARGEST * cost.flops / most, colour(name)
        guided = UPSAMPLERS[name].guided
        ax.scatter(
            [x],
            [mean],
            area,
            facecolor=(ink, 0.3),
            edgecolor=ink,
            linewidths=1.2 if guided else 0,
            linestyle=(0, (4, 2)),
            gid=f"{name} flops",
        )
        ends = [mean, mean] if math.isnan(low) else [low, high]
        ax.plot([x, x], ends, color=ink, gid=f"{name} interval")
        inside = "white" if guided else ink
        ax.plot([x], [mean], "o", markersize=5, color=ink, mfc=inside, gid=name)
        bubbles.append(Bubble(name, x, mean, (ends[0], ends[1]), _radius(area)))
    ax.set_xlabel(COLUMNS[latency].title)
    ax.margins(0.12)
    ax.grid()
    logarithmic(ax, "x", [bubble.x for bubble in bubbles])
    return bubbles


def note(fig: Figure, environment: str) -> None:
    """Write under the plot what its numbers were measured on."""
    lines = textwrap.wrap(environment, round(12.8 * fig.get_figwidth()))
    fig.supxlabel("\n".join(lines), fontsize=9.5, color=MUTED)


def logarithmic(ax: Axes, axis: str, values: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers, closer ones where it is short."""
    decades = math.log10(max(values) / min(values))
    subs = (1, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2 else (1,)
    getattr(ax, f"set_{axis}scale")("log")
    scale = getattr(ax, f"{axis}axis")
    scale.set_major_locator(LogLocator(subs=subs))
    scale.set_minor_locator(NullLocator())
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _radius(area: float) -> float:
    return math.sqrt(area / math.pi)


def _area_legend(fig: Figure, most: int) -> None:
    """Circles of round numbers of operations, above the plot."""
    largest = most / 1e9
    step = 10 ** math.floor(math.log10(largest))
    top = max(n * step for n in (1, 2, 5) if n * step <= largest)
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=2 * _radius(LARGEST * value / largest),
            markerfacecolor="none",
            markeredgecolor=MUTED,
            label=f"{value:g} GFLOPs",
        )
        for value in (top / 20, top / 4, top)
    ]
    room = 2.2 * _radius(LARGEST) / 10  # in units of the type
    fig.legend(
        handles=handles,
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=10,
        handleheight=room,
        handlelength=room,
        handletextpad=0.2,
        borderpad=0.8,
    )


def _name_bubbles(fig: Figure, ax: Axes, bubbles: Sequence[Bubble]) -> None:
    """Write each name beside its bubble, where it covers least of what is there."""
    fig.draw_without_rendering()  # settles where the axes are
    dot = 4 * fig.dpi / 72
    taken = []
    for bubble in bubbles:
        ends = ax.transData.transform([(bubble.x, y) for y in bubble.interval])
        taken.append(Bbox([ends[0] - dot, ends[1] + dot]))
    for bubble in sorted(bubbles, key=lambda bubble: bubble.y):
        text = ax.annotate(
            method(bubble.name) + ", guided" * UPSAMPLERS[bubble.name].guided,
            (bubble.x, bubble.y),
            (0, 0),  # placed below
            textcoords="offset points",
            color=colour(bubble.name),
            fontweight="bold",
            fontsize=10,
            gid=f"{bubble.name} name",
        )
        text.set_in_layout(False)
        places = [
            (right, up, distance)
            for distance in (7, *(bubble.radius + away for away in (5, 20, 35)))
            for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1))
        ]
        covered = [_covered(_place(text, *place), taken, ax.bbox) for place in places]
        taken.append(_place(text, *places[int(np.argmin(covered))]))


def _place(text: Annotation, right: int, up: int, distance: float) -> Bbox:
    """Put ``text`` to one side of its point; where it is then, in pixels."""
    text.set_position((right * distance, up * distance))
    text.set_horizontalalignment(("center", "left", "right")[right])
    text.set_verticalalignment(("center", "bottom", "top")[up])
    return text.get_window_extent()


def _covered(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> float:
    """The area of ``box`` on others, and four times that outside of the axes."""
    within = Bbox.intersection(box, inside)
    outside = _area(box) - (0.0 if within is None else _area(within))
    shared = (Bbox.intersection(box, other) for other in taken)
    return 4 * outside + sum(_area(common) for common in shared if common is not None)


def _area(box: Bbox) -> float:
    return float(box.width * box.height)
