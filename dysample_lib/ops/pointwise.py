"""1×1 convolutions as matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .initialised import Initialised


class PointwiseConv2d(Initialised, nn.Conv2d):
    """A 1×1 convolution, computed as a matrix product in the layout that its input has.

    ``nn.Conv2d`` converts a contiguous map where the network is ``channels_last``,
    forward once and backward twice; next to upsamplers, whose maps are contiguous, that
    costs more than the convolution. And on CUDA a product is true float32 by default,
    whereas a convolution rounds to TF32, which moves sampling points. In a trace it is
    a convolution, which is what counters and converters that trace know.

    Args:
        in_channels: C.
        out_channels: C'.
        bias: whether there is one.
        init: see :class:`~dysample_lib.ops.initialised.Initialised`.

    Shape:
        * input: (B, C, H, W)
        * output: (B, C', H, W), ``channels_last`` if the input is, otherwise contiguous
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        *,
        init: Callable[[Tensor], Any] | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias, init=init)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``weight @ x + bias``."""
        return _convolve(x, self.weight, self.bias)


@torch.fx.wrap  # one node of a graph: which product it is depends on the layout
def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # Autocast keeps a convolution's cast weights, which are then no part of a trace.
    if torch.jit.is_tracing() and not torch.is_autocast_enabled(x.device.type):
        return F.conv2d(x, weight, bias)
    weight = weight.flatten(1)
    channels_last = x.permute(0, 2, 3, 1)
    if channels_last.is_contiguous() and not x.is_contiguous():
        return F.linear(channels_last, weight, bias).permute(0, 3, 1, 2)
    maps, weight = x.flatten(2), weight.expand(x.shape[0], -1, -1)
    if bias is None:
        y = torch.bmm(weight, maps)
    else:
        y = torch.baddbmm(bias.view(-1, 1), weight, maps)
    return y.unflatten(2, x.shape[2:])
