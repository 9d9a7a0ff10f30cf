"""Pixel shuffle: a convolution makes the sub-pixels as channels (Shi et al., 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from ..ops.sampling import shuffle
from .base import Flops, Upsampler


class PixelShuffle(Upsampler):
    """3 × 3 convolution to C·s² channels, which become s × s pixels each.

    Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network" (CVPR 2016), section 3.2. torch's default
    initialisation.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.

    Shape:
        * input: (B, C, H, W), any floating-point dtype
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Parameters: 9·s²·C² weights, s²·C biases.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    def __init__(self, in_channels: int, scale: int = 2) -> None:
        super().__init__(in_channels, scale)
        self.conv = nn.Conv2d(in_channels, in_channels * scale**2, 3, padding=1)

    def upsample(self, x: Tensor) -> Tensor:
        """Convolve, and put the channels in place."""
        return shuffle(self.conv(x), self.scale)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: 18·s²·C²·H·W, all in the layer."""
        return Flops(18 * (self.scale * self.in_channels) ** 2 * height * width, 0)
