"""Every upsampler of the book by name, and the ladder: the order the paper builds in.

Adding one takes its module file and one line in ``UPSAMPLERS``. Of the upsamplers
that the paper compares, IndexNet and A2U are left out, as are the other variants of
SAPA (I and G).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from .carafe import CARAFE
from .deconv import Deconv
from .dysample import DySample
from .fade import FADE
from .fixed import Bilinear, Nearest
from .pixel_shuffle import PixelShuffle
from .sapa import SAPA


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
    "deconv": Upsampler("deconvolution", Deconv),
    "pixel_shuffle": Upsampler("pixel shuffle", PixelShuffle),
    "carafe": Upsampler("CARAFE", CARAFE),
    "fade": Upsampler("FADE", FADE, guided=True),
    "fade_ungated": Upsampler(
        "FADE without gate", partial(FADE, gated=False), guided=True
    ),
    "fade_lite": Upsampler("FADE-Lite", partial(FADE, lite=True), guided=True),
    "sapa": Upsampler("SAPA-B", SAPA, guided=True),
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

RIVALS: tuple[str, ...] = (
    "deconv",
    "pixel_shuffle",
    "carafe",
    "fade",
    "fade_ungated",
    "fade_lite",
    "sapa",
)
"""What the paper compares DySample with (learned, kernel-based, guided)."""

PREDECESSORS: dict[str, str] = {
    **dict(zip(LADDER[1:], LADDER[:-1], strict=True)),
    "dysample_s": "grouping",
}
"""What each step is compared with: the one before, but DySample for DySample-S."""


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


def label(variant: str) -> str:
    """The name of an upsampler in tables and figures; other text is left as it is.

    >>> label("grouping"), label("carafe,kernel_size=3"), label("truth")
    ('+ grouping (DySample)', 'CARAFE, kernel_size=3', 'truth')
    """
    name, *options = map(str.strip, variant.split(","))
    if name not in UPSAMPLERS:
        return variant
    return ", ".join([UPSAMPLERS[name].label, *options])


def method(variant: str) -> str:
    """What an upsampler is called where it is no step of a ladder.

    >>> method("grouping"), method("static_scope"), method("carafe")
    ('DySample', 'static scope', 'CARAFE')
    """
    name, comma, options = label(variant).removeprefix("+ ").partition(",")
    return (name.partition("(")[2].rstrip(")") or name) + comma + options
