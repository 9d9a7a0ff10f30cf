"""Pixel shuffle: a convolution makes the sub-pixels as channels (Shi et al., 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from ..ops.checks import check_map, check_positive_integer
from ..ops.output_size import check_output_size, fit
from .flops import Flops


def shuffle(x: Tensor, scale: int) -> Tensor:
    """(B, C·s², H, W) → (B, C, s·H, s·W): channel c·s² + i·s + j is sub-pixel (i, j).

    As torch's ``pixel_shuffle``, which fails for an empty batch on a CPU.
    """
    batch, channels, height, width = x.shape
    channels //= scale**2
    x = x.unflatten(1, (channels, scale, scale)).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels, scale * height, scale * width)


class PixelShuffle(nn.Module):
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
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        self.in_channels = in_channels
        self.scale = scale
        self.conv = nn.Conv2d(in_channels, in_channels * scale**2, 3, padding=1)

    def forward(self, x: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W), or to ``output_size``.

        See :meth:`dysample_lib.DySample.forward` for what ``output_size`` means.
        """
        check_map("x", x, channels=self.in_channels)
        size = check_output_size(output_size, x.shape[2:], self.scale)
        return fit(shuffle(self.conv(x).to(x.dtype), self.scale), size)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: 18·s²·C²·H·W, all in the layer."""
        return Flops(18 * (self.scale * self.in_channels) ** 2 * height * width, 0)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, scale={self.scale}"
