"""FADE: kernels from the encoder's and the decoder's features (Lu et al., 2022)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ..ops.checks import check_positive_integer
from ..ops.initialised import Conv2d
from ..ops.reassembly import check_kernel_size, normalised, reassemble, reassembly_flops
from .base import Flops, Upsampler

torch.fx.wrap("normalised")
torch.fx.wrap("reassemble")


class FADE(Upsampler):
    r"""Upsample by kernels from both features, and let the guide's details through.

    Lu et al., "FADE: Fusing the Assets of Decoder and Encoder for Task-Agnostic
    Upsampling" (ECCV 2022). Each feature goes through its own 1×1 convolution; then one
    and the same 3×3 convolution slides over the guide pixel by pixel and over x so that
    the s × s output pixels of one low-resolution pixel see the same window ("semi-shift
    convolution"). Their sum makes k × k kernels:

    .. math::  W = \text{softmax}(\text{encode}(\text{compress}_g(G)) +
        \text{nearest}(\text{encode}(\text{compress}(X)))).

    A gate in [0, 1], one for each low-resolution pixel, mixes in the guide:

    .. math::  g = \text{nearest}(\sigma(\text{gate}(X))), \quad
        X' = g \cdot G + (1 - g) \cdot \text{reassemble}(X, W).

    FADE-Lite compresses to k² channels and convolves each on its own (the extended
    paper, IJCV 2024). Outside the maps are zeros. The initialisation is the authors':
    Xavier's uniform, biases zero.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        guide_channels: C_g, or None for C; the gate needs C_g = C.
        gated: mix in the guide.
        lite: FADE-Lite.
        kernel_size: k of the reassembly, odd.
        compressed: channels between the convolutions, d; k² where ``lite``.

    Shape:
        * x: (B, C, H, W), any floating-point dtype
        * guide: (B, C_g, s·H, s·W)
        * output: (B, C, s·H, s·W), in the dtype of x

    Parameters: d·(C + C_g) + 9·d·k² weights (9·k² for the convolution where ``lite``),
    d + k² biases; the gate has C weights and one bias.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    guided = True

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        guide_channels: int | None = None,
        *,
        gated: bool = True,
        lite: bool = False,
        kernel_size: int = 5,
        compressed: int = 64,
    ) -> None:
        super().__init__(in_channels, scale)
        self.guide_channels = in_channels if guide_channels is None else guide_channels
        check_positive_integer("guide_channels", self.guide_channels)
        check_kernel_size(kernel_size)
        check_positive_integer("compressed", compressed)
        if gated and self.guide_channels != in_channels:
            raise ValueError(
                f"guide_channels has to equal in_channels={in_channels} where the gate "
                f"mixes both maps, got {guide_channels}; or pass gated=False"
            )
        self.gated = gated
        self.lite = lite
        self.kernel_size = kernel_size
        weights = kernel_size**2
        inner = weights if lite else compressed
        layer = partial(Conv2d, init=nn.init.xavier_uniform_)
        self.compress_guide = layer(self.guide_channels, inner, 1)
        self.compress = layer(in_channels, inner, 1, bias=False)
        self.encode = layer(inner, weights, 3, padding=1, groups=inner if lite else 1)
        if gated:
            self.gate = layer(in_channels, 1, 1)
        self.reset_parameters()

    def kernels(self, x: Tensor, guide: Tensor) -> Tensor:
        """The kernels, (B, k², s·H, s·W), at least float32."""
        self.check_maps(x, guide)
        logits = self.encode(self.compress_guide(guide))
        return normalised(logits + self._nearest(self.encode(self.compress(x))))

    def upsample(self, x: Tensor, guide: Tensor) -> Tensor:
        """Upsample ``x`` to the size of ``guide``."""
        y = reassemble(x, self.kernels(x, guide), self.scale)
        if not self.gated:
            return y
        gate = self._nearest(self.gate(x).sigmoid())
        # lerp would keep two more maps of this size for the backward pass.
        return torch.addcmul(y, gate.to(y.dtype), guide.to(y.dtype) - y)

    def _nearest(self, x: Tensor) -> Tensor:
        size = (self.scale * x.shape[2], self.scale * x.shape[3])
        return nn.functional.interpolate(x, size=size, mode="nearest")

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map.

        Layers, with e = 9·d·k² (9·k² where lite) weights in the 3×3 convolution:
        2·H·W·(s²·(d·C_g + e) + d·C + e), and 2·H·W·C for the gate. Reading: the sum
        of both kernels and the softmax, the weighted sums, s²·H·W·k²·(2·C + 4), and
        for the gate H·W + s²·H·W·(1 + 3·C).
        """
        pixels, points = height * width, self.scale**2 * height * width
        encode = self.encode.weight.numel()
        layers = 2 * points * (self.compress_guide.weight.numel() + encode)
        layers += 2 * pixels * (self.compress.weight.numel() + encode)
        reading = reassembly_flops(
            self.in_channels, self.kernel_size, self.scale, height, width
        )
        reading += points * self.kernel_size**2
        if self.gated:
            layers += 2 * pixels * self.in_channels
            reading += pixels + points * (1 + 3 * self.in_channels)
        return Flops(layers, reading)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, gated={self.gated}, lite={self.lite}, "
            f"kernel_size={self.kernel_size}"
        )
