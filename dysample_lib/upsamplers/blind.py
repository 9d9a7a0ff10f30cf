"""Learned sampling points that see nothing: what is left of DySample without X."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..ops.checks import check_groups, check_map, check_scope
from ..ops.sampling import initial_positions, point_sample
from .base import Flops, Upsampler

torch.fx.wrap("check_map")
torch.fx.wrap("point_sample")


class Blind(Upsampler):
    r"""Sample at learned points that are the same for every pixel of every image.

    The control for DySample: *learning to sample* is worth what DySample gains over
    this. The offsets are free constants, those that DySample has where the weights of
    its linear layer are zero and its bias is learned:

    .. math::  O = \text{scope} \cdot \text{bias} + \text{initial}.

    It starts as bilinear interpolation, exactly.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        groups: g; each C / g neighbouring channels share one sampling set.
        scope: the static factor, in low-resolution pixels.

    Shape:
        * input: (B, C, H, W), any floating-point dtype
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Parameters: 2·g·s² biases.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        *,
        groups: int = 4,
        scope: float = 0.25,
    ) -> None:
        super().__init__(in_channels, scale)
        check_groups(groups, in_channels, "in_channels")
        check_scope(scope, dynamic=False)
        self.groups = groups
        self.scope = float(scope)
        self.bias = nn.Parameter(torch.empty(2 * groups * scale**2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as bilinear interpolation."""
        nn.init.zeros_(self.bias)

    def offset_parameters(self) -> Iterator[nn.Parameter]:
        """All there are."""
        return self.parameters()

    def offsets(self, x: Tensor) -> Tensor:
        """The offsets O, initial positions included, as a view.

        Shape:
            * x: (B, C, H, W)
            * returns: (B, 2·g·s², H, W), in low-resolution pixels, at least float32
        """
        check_map("x", x, channels=self.in_channels)
        return _everywhere(x, self.bias, self.scale, self.groups, self.scope)

    def upsample(self, x: Tensor) -> Tensor:
        """Sample ``x`` at its :meth:`offsets`."""
        return point_sample(x, self.offsets(x), self.scale, self.groups)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map: DySample's reading, and no layers.

        7·C·s²·H·W, four products and three sums for each value; 12·g·s²·H·W for the
        points' centres, fractions, complements and the four products of these.
        """
        points = self.scale**2 * height * width
        return Flops(0, points * (7 * self.in_channels + 12 * self.groups))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, groups={self.groups}, scope={self.scope}"


@torch.fx.wrap
def _everywhere(
    x: Tensor, bias: Tensor, scale: int, groups: int, scope: float
) -> Tensor:
    dtype = torch.promote_types(x.dtype, torch.float32)
    initial = initial_positions(scale, dtype=dtype, device=x.device)
    initial = initial.flatten(1).repeat(1, groups).flatten()
    offsets = torch.add(initial, bias.to(dtype), alpha=scope)
    return offsets.view(1, -1, 1, 1).expand(x.shape[0], -1, *x.shape[2:])
