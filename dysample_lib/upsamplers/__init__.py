"""The upsamplers, one operator a file, and the registry that names them."""

from .base import Flops, Upsampler
from .blind import Blind
from .carafe import CARAFE
from .deconv import Deconv
from .dysample import DySample
from .fade import FADE
from .fixed import Bilinear, Nearest
from .pixel_shuffle import PixelShuffle
from .registry import (
    CONTROLS,
    LADDER,
    PREDECESSORS,
    RIVALS,
    UPSAMPLERS,
    Entry,
    build_upsampler,
)
from .sapa import SAPA

__all__ = [
    "CARAFE",
    "CONTROLS",
    "FADE",
    "LADDER",
    "PREDECESSORS",
    "RIVALS",
    "SAPA",
    "UPSAMPLERS",
    "Bilinear",
    "Blind",
    "Deconv",
    "DySample",
    "Entry",
    "Flops",
    "Nearest",
    "PixelShuffle",
    "Upsampler",
    "build_upsampler",
]
