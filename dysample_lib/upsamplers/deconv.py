"""Transposed convolution: upsampling with learned, fixed kernels."""

from __future__ import annotations

from torch import Tensor, nn

from .base import Flops, Upsampler


class Deconv(Upsampler):
    """Transposed convolution with stride s, 3 × 3 for s = 2; "deconvolution".

    The kernel has 2·s − 1 rows and columns, the support of bilinear interpolation, so
    that neighbouring kernels overlap at any scale. Unlike the dynamic upsamplers it
    mixes the channels and treats all places alike. torch's default initialisation.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.

    Shape:
        * input: (B, C, H, W), any floating-point dtype
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Parameters: C²·(2·s − 1)² weights, C biases.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    def __init__(self, in_channels: int, scale: int = 2) -> None:
        super().__init__(in_channels, scale)
        self.conv = nn.ConvTranspose2d(
            in_channels, in_channels, 2 * scale - 1, scale, scale - 1, scale - 1
        )

    def upsample(self, x: Tensor) -> Tensor:
        """Convolve."""
        return self.conv(x)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: 2·C²·(2·s − 1)²·H·W, all in the layer."""
        kernel = (2 * self.scale - 1) ** 2
        return Flops(2 * self.in_channels**2 * kernel * height * width, 0)
