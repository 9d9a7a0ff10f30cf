"""The upsamplers, one operator a file, and the registry that names them."""

from .carafe import CARAFE
from .deconv import Deconv
from .dysample import DySample
from .fade import FADE
from .fixed import Bilinear, Nearest
from .flops import Flops
from .guided import GuidedUpsampler
from .pixel_shuffle import PixelShuffle
from .registry import (
    LADDER,
    PREDECESSORS,
    RIVALS,
    UPSAMPLERS,
    Upsampler,
    build_upsampler,
)
from .sapa import SAPA

__all__ = [
    "CARAFE",
    "FADE",
    "LADDER",
    "PREDECESSORS",
    "RIVALS",
    "SAPA",
    "UPSAMPLERS",
    "Bilinear",
    "Deconv",
    "DySample",
    "Flops",
    "GuidedUpsampler",
    "Nearest",
    "PixelShuffle",
    "Upsampler",
    "build_upsampler",
]
