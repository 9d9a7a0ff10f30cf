"""Upsampling by a fixed rule: the baselines that nothing is learned for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.checks import check_map, check_positive_integer
from ..ops.output_size import check_output_size, fit
from .flops import Flops


class _Interpolation(nn.Module):
    """What both rules share: the arguments, the checks, and ``output_size``."""

    mode: str
    align_corners: bool | None

    def __init__(self, in_channels: int, scale: int = 2) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        self.in_channels = in_channels
        self.scale = scale

    def forward(self, x: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W), or to ``output_size``.

        See :meth:`dysample_lib.DySample.forward` for what ``output_size`` means.
        """
        check_map("x", x, channels=self.in_channels)
        size = check_output_size(output_size, x.shape[2:], self.scale)
        y = F.interpolate(
            x,
            scale_factor=float(self.scale),
            mode=self.mode,
            align_corners=self.align_corners,
        )
        return fit(y, size)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, scale={self.scale}"


class Nearest(_Interpolation):
    """Nearest interpolation: each value s × s times. (B, C, H, W) → (B, C, sH, sW)."""

    mode = "nearest"
    align_corners = None

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: none, values are copied."""
        return Flops(0, 0)


class Bilinear(_Interpolation):
    """Bilinear interpolation with ``align_corners=False``, same shapes."""

    mode = "bilinear"
    align_corners = False

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: 7·C·s²·H·W, four products and three sums a value.

        The weights are the same for whole rows and columns and are not counted.
        """
        return Flops(0, 7 * self.in_channels * self.scale**2 * height * width)
