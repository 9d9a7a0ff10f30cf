"""All upsamplers of the registry, and maps for them."""

from __future__ import annotations

import torch
from torch import Tensor

from dysample_lib import LADDER, build_upsampler
from dysample_lib.upsamplers import UPSAMPLERS

NAMES = tuple(UPSAMPLERS)
OFF_LADDER = tuple(name for name in NAMES if name not in LADDER)
GUIDED = tuple(name for name in NAMES if UPSAMPLERS[name].guided)
BY_KERNELS = tuple(n for n in NAMES if hasattr(build_upsampler(n, 16), "kernels"))


def channels_for(scale: int) -> int:
    """A width that suits every upsampler: whole groups, whole pixel shuffles."""
    return 8 * scale**2


def inputs(name: str, x: Tensor, scale: int = 2) -> dict[str, Tensor]:
    """The map, and a random guide where there has to be one, by their names."""
    batch, channels, height, width = x.shape
    if name not in GUIDED:
        return {"x": x}
    guide = torch.randn(batch, channels, scale * height, scale * width).to(x)
    return {"x": x, "guide": guide}
