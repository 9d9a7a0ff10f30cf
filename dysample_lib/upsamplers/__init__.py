"""The upsamplers, one operator a file, and the registry that names them."""

from .dysample import DySample
from .fixed import Bilinear, Nearest
from .registry import (
    LADDER,
    PREDECESSORS,
    UPSAMPLERS,
    Upsampler,
    build_upsampler,
)

__all__ = [
    "LADDER",
    "PREDECESSORS",
    "UPSAMPLERS",
    "Bilinear",
    "DySample",
    "Nearest",
    "Upsampler",
    "build_upsampler",
]
