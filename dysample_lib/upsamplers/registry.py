"""Every upsampler of the book by name, and the ladder: the order the paper builds in.

Adding one takes its module file and one line in ``UPSAMPLERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from .dysample import DySample
from .fixed import Bilinear, Nearest


@dataclass(frozen=True)
class Upsampler:
    """One entry of the registry.

    Attributes:
        label: the name in tables and figures.
        build: called as ``build(channels, scale)``, returns the module.
        guided: whether the module takes a second, high-resolution feature map.
    """

    label: str
    build: Callable[[int, int], nn.Module]
    guided: bool = False


UPSAMPLERS: dict[str, Upsampler] = {
    "nearest": Upsampler("nearest", Nearest),
    "bilinear": Upsampler("bilinear", Bilinear),
    "naive": Upsampler(
        "naive", partial(DySample, groups=1, scope=1.0, initial="nearest")
    ),
    "initial_offsets": Upsampler(
        "+ initial offsets", partial(DySample, groups=1, scope=1.0)
    ),
    "static_scope": Upsampler("+ static scope", partial(DySample, groups=1)),
    "grouping": Upsampler("+ grouping (DySample)", DySample),
    "dynamic_scope": Upsampler(
        "+ dynamic scope (DySample+)", partial(DySample, scope="dynamic")
    ),
    "dysample_s": Upsampler("DySample-S", partial(DySample, style="pl", groups=8)),
    "dysample_s_plus": Upsampler(
        "DySample-S+", partial(DySample, style="pl", groups=8, scope="dynamic")
    ),
}
"""All upsamplers by name."""

LADDER: tuple[str, ...] = (
    "nearest",
    "bilinear",
    "naive",
    "initial_offsets",
    "static_scope",
    "grouping",
    "dynamic_scope",
    "dysample_s",
    "dysample_s_plus",
)
"""The steps of the paper in order, the two fixed rules first."""

PREDECESSORS: dict[str, str] = {
    **dict(zip(LADDER[1:], LADDER[:-1], strict=True)),
    "dysample_s": "grouping",
}
"""The step that each one changes in one thing, the one before but for DySample-S."""


def build_upsampler(name: str, channels: int, scale: int = 2) -> nn.Module:
    """Build the upsampler ``name`` for maps of ``channels`` channels.

    Args:
        name: a key of :data:`UPSAMPLERS`.
        channels: C.
        scale: upsampling ratio s.

    Raises:
        ValueError: if there is no such upsampler, naming those there are, or if
            ``channels`` or ``scale`` do not suit it.

    >>> build_upsampler("grouping", 64).groups
    4
    """
    if not isinstance(name, str) or name not in UPSAMPLERS:
        raise ValueError(
            f"upsampler has to be one of {', '.join(UPSAMPLERS)}, got {name!r}"
        )
    return UPSAMPLERS[name].build(channels, scale)
