"""Upsampling by a fixed rule: the baselines that nothing is learned for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .._checks import check_map, check_positive_integer


class _Interpolation(nn.Module):
    """What both rules share: the arguments, and a call that keeps the dtype."""

    def __init__(self, in_channels: int, scale: int = 2) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        self.in_channels = in_channels
        self.scale = scale

    def extra_repr(self) -> str:
        return f"{self.in_channels}, scale={self.scale}"


class Nearest(_Interpolation):
    """Nearest interpolation: each value s × s times. (B, C, H, W) → (B, C, sH, sW)."""

    def forward(self, x: Tensor) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W)."""
        check_map("x", x, channels=self.in_channels)
        return F.interpolate(x, scale_factor=float(self.scale), mode="nearest")


class Bilinear(_Interpolation):
    """Bilinear interpolation with ``align_corners=False``, same shapes."""

    def forward(self, x: Tensor) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W)."""
        check_map("x", x, channels=self.in_channels)
        return F.interpolate(
            x, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )
