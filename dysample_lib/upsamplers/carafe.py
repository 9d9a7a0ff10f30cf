"""CARAFE: kernels predicted from the features (Wang et al., ICCV 2019)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ..ops.checks import check_groups, check_map, check_positive_integer
from ..ops.initialised import Conv2d
from ..ops.reassembly import check_kernel_size, normalised, reassemble, reassembly_flops
from ..ops.sampling import shuffle
from .base import Flops, Upsampler

torch.fx.wrap("check_map")
torch.fx.wrap("normalised")
torch.fx.wrap("reassemble")


class CARAFE(Upsampler):
    r"""Upsample by kernels that a small network predicts for each output pixel.

    Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", section 3. The
    channel compressor, a 1×1 convolution, and the content encoder, a 3×3 convolution
    without anything between them, make s² kernels of k × k for each low-resolution
    pixel (section 3.2). A pixel shuffle puts them in place, a softmax makes
    each sum to one, and :func:`~dysample_lib.ops.reassembly.reassemble` applies
    them (section 3.3):

    .. math::  X' = \text{reassemble}(X, \text{softmax}(\text{shuffle}(
        \text{encode}(\text{compress}(X))))).

    Outside the map are zeros, so within k // 2 pixels of the border even a constant map
    changes. The initialisation is the authors': Xavier's uniform for the compressor,
    a standard deviation of 0.001 for the encoder, so that all kernels start as means.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        groups: g; each C / g neighbouring channels share one kernel.
        kernel_size: k of the reassembly, odd.
        compressed: channels between the two convolutions, C_m.

    Shape:
        * input: (B, C, H, W), any floating-point dtype
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Parameters: C·C_m + 9·C_m·g·s²·k² weights, C_m + g·s²·k² biases.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        *,
        groups: int = 1,
        kernel_size: int = 5,
        compressed: int = 64,
    ) -> None:
        super().__init__(in_channels, scale)
        check_groups(groups, in_channels, "in_channels")
        check_kernel_size(kernel_size)
        check_positive_integer("compressed", compressed)
        self.groups = groups
        self.kernel_size = kernel_size
        self.compressed = compressed
        kernels = groups * scale**2 * kernel_size**2
        self.compress = Conv2d(in_channels, compressed, 1, init=nn.init.xavier_uniform_)
        nearly_means = partial(nn.init.normal_, std=0.001)
        self.encode = Conv2d(compressed, kernels, 3, padding=1, init=nearly_means)
        self.reset_parameters()

    def kernels(self, x: Tensor) -> Tensor:
        """The kernels, (B, C, H, W) → (B, g·k², s·H, s·W), at least float32."""
        check_map("x", x, channels=self.in_channels)
        logits = shuffle(self.encode(self.compress(x)), self.scale)
        return normalised(logits, self.groups)

    def upsample(self, x: Tensor) -> Tensor:
        """Reassemble ``x`` by its :meth:`kernels`."""
        return reassemble(x, self.kernels(x), self.scale, self.groups)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map.

        Layers: 2·H·W·(C·C_m + 9·C_m·g·s²·k²). Reading: softmax and weighted sums,
        s²·H·W·k²·(2·C + 3·g).
        """
        weights = self.compress.weight.numel() + self.encode.weight.numel()
        reading = reassembly_flops(
            self.in_channels, self.kernel_size, self.scale, height, width, self.groups
        )
        return Flops(2 * weights * height * width, reading)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, groups={self.groups}, "
            f"kernel_size={self.kernel_size}, compressed={self.compressed}"
        )
