"""DySample in nested loops, written for reading and slow on purpose.

Everything is a nested list of floats and follows the paper's definition one point at
a time. Nothing here comes from the library, so that the two can be held against each
other.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

Nested = Any
"""Nested lists of floats: a map is ``map[channel][row][column]``."""


def upsample(
    images: Nested,
    offset_weight: Nested,
    offset_bias: list[float],
    scope: float | Nested,
    *,
    scale: int,
    groups: int,
    style: str,
    initial: str,
) -> Nested:
    """Upsample a batch of maps, ``images[b][channel][row][column]``.

    Args:
        images: X, in nested lists.
        offset_weight: rows of the linear layer, ``[output channel][input channel]``.
        offset_bias: its bias.
        scope: the static factor, or the dynamic scope's rows in the same layout.
        scale: s.
        groups: g.
        style: "lp" or "pl".
        initial: "nearest" or "bilinear".
    """
    s = scale
    results = []
    for x in images:
        channels, height, width = len(x), len(x[0]), len(x[0][0])
        out = [[[0.0] * (s * width) for _ in range(s * height)] for _ in x]
        # Every point: a group, a pixel, a sub-row i and a sub-column j of the pixel.
        points = product(*map(range, (groups, height, width, s, s)))
        for group, row, column, i, j in points:
            members = range(
                group * channels // groups, (group + 1) * channels // groups
            )
            position = [column + 0.5, row + 0.5]  # x, y of the pixel's centre
            for axis in (0, 1):
                if initial == "bilinear":
                    step = (j, i)[axis]
                    position[axis] += (step - (s - 1) / 2) / s
                where = (axis, group, i, j, groups, s, style)
                pixel = [x[c][row][column] for c in range(channels)]
                moved = linear(offset_weight, pixel, *where)
                moved += offset_bias[output_channel(*where)]
                if isinstance(scope, float):
                    walking_range = scope
                else:
                    logit = linear(scope, pixel, *where)
                    walking_range = 0.5 / (1.0 + math.exp(-logit))
                position[axis] += walking_range * moved
            for c in members:
                out[c][s * row + i][s * column + j] = read(x[c], *position)
        results.append(out)
    return results


def output_channel(
    axis: int, group: int, i: int, j: int, groups: int, s: int, style: str
) -> int:
    """The linear layer's output channel for one coordinate of one point.

    LP makes all points of a pixel at once, channels (2, g, s, s). PL has shuffled the
    features, so each point is a pixel of its own, channels (2, g).
    """
    if style == "lp":
        return ((axis * groups + group) * s + i) * s + j
    return axis * groups + group


def linear(
    weight: Nested,
    pixel: list[float],
    axis: int,
    group: int,
    i: int,
    j: int,
    groups: int,
    s: int,
    style: str,
) -> float:
    """One output of a linear layer, without bias, for point (i, j) of one pixel.

    LP sees all features of the pixel. PL sees those that the pixel shuffle puts at
    sub-pixel (i, j): channel k · s² + i · s + j becomes channel k there.
    """
    seen = pixel if style == "lp" else pixel[i * s + j :: s * s]
    row = weight[output_channel(axis, group, i, j, groups, s, style)]
    return sum(w * value for w, value in zip(row, seen, strict=True))


def read(channel: Nested, x: float, y: float) -> float:
    """One channel at position (x, y), bilinearly; outside the map reads its border.

    Positions are in pixels from the upper left corner: pixel i has its centre at
    i + 0.5.
    """
    height, width = len(channel), len(channel[0])
    x = min(max(x - 0.5, 0.0), width - 1.0)
    y = min(max(y - 0.5, 0.0), height - 1.0)
    left, top = math.floor(x), math.floor(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    upper = (1 - a) * channel[top][left] + a * channel[top][right]
    lower = (1 - a) * channel[bottom][left] + a * channel[bottom][right]
    return (1 - b) * upper + b * lower
