"""Upsampling by a fixed rule: the baselines that nothing is learned for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .base import Flops, Upsampler


class Nearest(Upsampler):
    """Nearest interpolation: each value s × s times. (B, C, H, W) → (B, C, sH, sW)."""

    def upsample(self, x: Tensor) -> Tensor:
        """Copy each value."""
        return F.interpolate(x, scale_factor=float(self.scale), mode="nearest")

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: none, values are copied."""
        return Flops(0, 0)


class Bilinear(Upsampler):
    """Bilinear interpolation with ``align_corners=False``, same shapes."""

    def upsample(self, x: Tensor) -> Tensor:
        """Interpolate."""
        return F.interpolate(
            x, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: 7·C·s²·H·W, four products and three sums a value.

        The weights are the same for whole rows and columns and are not counted.
        """
        return Flops(0, 7 * self.in_channels * self.scale**2 * height * width)
