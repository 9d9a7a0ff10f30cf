"""Every upsampler of the book by name, and the ladder: the order the paper builds in.

Adding one takes its module file and one line in ``UPSAMPLERS``. Of the upsamplers
that the paper compares, IndexNet and A2U are left out, as are the other variants of
SAPA (I and G).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import Upsampler
from .blind import Blind
from .carafe import CARAFE
from .deconv import Deconv
from .dysample import DySample
from .fade import FADE
from .fixed import Bilinear, Nearest
from .pixel_shuffle import PixelShuffle
from .sapa import SAPA


@dataclass(frozen=True)
class Entry:
    """One entry of the registry.

    Attributes:
        label: the name in tables and figures.
        operator: the class, built as ``operator(channels, scale, **options)``.
        options: what sets this variant apart from the class's own defaults.
    """

    label: str
    operator: type[Upsampler]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def guided(self) -> bool:
        """Whether the module takes a second, high-resolution feature map."""
        return self.operator.guided

    def build(self, channels: int, scale: int = 2, **options: Any) -> Upsampler:
        """Build one, with ``options`` in place of the entry's own."""
        return self.operator(channels, scale, **{**self.options, **options})

    def takes(self) -> tuple[str, ...]:
        """The names of the options that ``operator`` takes."""
        return tuple(inspect.signature(self.operator).parameters)[2:]


UPSAMPLERS: dict[str, Entry] = {
    "nearest": Entry("nearest", Nearest),
    "bilinear": Entry("bilinear", Bilinear),
    "naive": Entry(
        "naive", DySample, {"groups": 1, "scope": 1.0, "initial": "nearest"}
    ),
    "initial_offsets": Entry(
        "+ initial offsets", DySample, {"groups": 1, "scope": 1.0}
    ),
    "static_scope": Entry("+ static scope", DySample, {"groups": 1}),
    "grouping": Entry("+ grouping (DySample)", DySample),
    "dynamic_scope": Entry(
        "+ dynamic scope (DySample+)", DySample, {"scope": "dynamic"}
    ),
    "dysample_s": Entry("DySample-S", DySample, {"style": "pl", "groups": 8}),
    "dysample_s_plus": Entry(
        "DySample-S+", DySample, {"style": "pl", "groups": 8, "scope": "dynamic"}
    ),
    "deconv": Entry("deconvolution", Deconv),
    "pixel_shuffle": Entry("pixel shuffle", PixelShuffle),
    "carafe": Entry("CARAFE", CARAFE),
    "fade": Entry("FADE", FADE),
    "fade_ungated": Entry("FADE without gate", FADE, {"gated": False}),
    "fade_lite": Entry("FADE-Lite", FADE, {"lite": True}),
    "sapa": Entry("SAPA-B", SAPA),
    "blind": Entry("blind points", Blind),
    "groups_unscoped": Entry("groups without scope", DySample, {"scope": 1.0}),
    "pl_g4": Entry("PL, 4 groups", DySample, {"style": "pl"}),
    "lp_g8": Entry("LP, 8 groups", DySample, {"groups": 8}),
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

CONTROLS: tuple[str, ...] = ("blind", "groups_unscoped", "pl_g4", "lp_g8")
"""What tells the steps of the ladder apart; on no ladder, and in no cost table.

Points that see nothing; grouping without the scope, as scope comes without grouping
before; style and groups of DySample-S, each without the other.
"""

PREDECESSORS: dict[str, str] = {
    **dict(zip(LADDER[1:], LADDER[:-1], strict=True)),
    "dysample_s": "grouping",
}
"""What each step is compared with: the one before, but DySample for DySample-S."""


def build_upsampler(
    name: str, channels: int, scale: int = 2, **options: Any
) -> Upsampler:
    """Build the upsampler ``name`` for maps of ``channels`` channels.

    Args:
        name: a key of :data:`UPSAMPLERS`.
        channels: C.
        scale: upsampling ratio s.
        **options: of the upsampler's class, in place of the entry's own.

    Raises:
        ValueError: if there is no such upsampler, naming those there are, or if
            ``channels``, ``scale`` or an option does not suit it.
        TypeError: for an option that the class does not take, naming those it does.

    >>> build_upsampler("grouping", 64).groups
    4
    >>> build_upsampler("grouping", 64, groups=8).groups
    8
    """
    if not isinstance(name, str) or name not in UPSAMPLERS:
        raise ValueError(
            f"upsampler has to be one of {', '.join(UPSAMPLERS)}, got {name!r}"
        )
    entry = UPSAMPLERS[name]
    unknown = [option for option in options if option not in entry.takes()]
    if unknown:
        takes = ", ".join(entry.takes()) or "none"
        raise TypeError(
            f"options of {name} have to be among those of {entry.operator.__name__} "
            f"({takes}), got {', '.join(unknown)}"
        )
    return entry.build(channels, scale, **options)


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
