"""How cost grows with the size of the map, the channels, the groups and the scale."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..ops.checks import check_choice
from .measuring import measure
from .setting import Cost, Setting

AXES: dict[str, tuple[int, ...]] = {
    "pixels": (32, 48, 64, 96, 128),
    "channels": (16, 32, 64, 128, 256),
    "groups": (1, 2, 4, 8, 16),
    "scale": (2, 4, 8),
}
"""What cost grows with, and the values that are measured by default.

For ``"pixels"`` they are heights, of maps as wide as high.
"""


@dataclass(frozen=True)
class Growth:
    """Measurements along one axis.

    Attributes:
        axis: a key of :data:`AXES`.
        costs: one for each value, all timed in turns.
    """

    axis: str
    costs: tuple[Cost, ...]

    @property
    def upsampler(self) -> str:
        """Whose costs they are."""
        return self.costs[0].upsampler

    @property
    def values(self) -> list[int]:
        """Where on the axis they were measured; H·W for ``"pixels"``."""
        return [getattr(cost, self.axis) for cost in self.costs]

    def measured(self, of: str) -> list[float]:
        """One number of each, such as ``"forward_ms"`` or ``"flops"``."""
        return [float(getattr(cost, of)) for cost in self.costs]

    def fit(self, of: str) -> tuple[float, float]:
        """The power law, factor · value^exponent, that is nearest to the measurements.

        Least squares of the logarithms. A cost with a constant part has an exponent
        that rises along the axis; this one is its mean over the values.

        Args:
            of: a number of :class:`.Cost`.

        Returns:
            The exponent and the factor; NaN where a measurement is zero.
        """
        measured = self.measured(of)
        if min(measured) <= 0:
            return math.nan, math.nan
        slope, intercept = statistics.linear_regression(
            [math.log(value) for value in self.values], [math.log(m) for m in measured]
        )
        return slope, math.exp(intercept)


def growth(
    name: str,
    axis: str,
    values: Sequence[int] | None = None,
    *,
    channels: int = 64,
    height: int = 48,
    width: int = 48,
    scale: int = 2,
    repeats: int = 9,
    threads: int | None = None,
    device: torch.device | str | None = None,
) -> Growth:
    """Measure one upsampler along one axis, all values timed in turns.

    Args:
        name: a key of :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        axis: a key of :data:`AXES`.
        values: at least two different ones; those of :data:`AXES` by default.
        channels: C, where it is not the axis; the following likewise.
        height: H.
        width: W.
        scale: s.
        repeats: see :func:`dysample_lib.cost.cost`.
        threads: see :func:`dysample_lib.cost.cost`.
        device: see :func:`dysample_lib.cost.cost`.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """
    check_choice("axis", axis, tuple(AXES))
    steps = sorted(set(AXES[axis] if values is None else values))
    if len(steps) < 2:
        raise ValueError(f"values has to hold at least two, got {steps}")
    base = Setting(name, channels, height, width, scale)
    settings = [_at(base, axis, value) for value in steps]
    costs = measure(settings, repeats=repeats, threads=threads, device=device)
    return Growth(axis, tuple(costs))


def _at(base: Setting, axis: str, value: int) -> Setting:
    if axis == "pixels":
        return replace(base, height=value, width=value)
    changed: dict[str, Any] = {axis: value}
    return replace(base, **changed)
