"""DySample: upsampling with learned sampling points (Liu et al., ICCV 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ops.checks import (
    check_choice,
    check_groups,
    check_map,
    check_positive_integer,
    check_scope,
)
from ..ops.output_size import check_output_size, fit
from ..ops.pointwise import PointwiseConv2d
from ..ops.sampling import INITIAL_MODES, initial_positions, sample
from . import init_pos
from .flops import Flops

STYLES = ("lp", "pl")


class DySample(nn.Module):
    r"""Upsample a feature map by sampling it at points that its features move.

    Paper: section 3. Each low-resolution pixel owns s² points per group. A 1×1
    convolution, ``offset``, says how far each moves from its initial position:

    .. math::  O = \text{range} \cdot \text{offset}(X) + \text{initial},

    where the range is ``scope`` (section 3.2, static scope factor), or, for
    ``scope="dynamic"``, 0.5 · sigmoid(scope(X)) with a second 1×1 convolution, one
    range in [0, 0.5] for each point (equation 6). The defaults are the paper's
    DySample; the table gives its other variants.

    ============  =======  ======  ===========
    variant       style    groups  scope
    ============  =======  ======  ===========
    DySample      ``lp``   4       0.25
    DySample+     ``lp``   4       ``dynamic``
    DySample-S    ``pl``   8       0.25
    DySample-S+   ``pl``   8       ``dynamic``
    ============  =======  ======  ===========

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        groups: g; each C / g neighbouring channels share one sampling set.
        style: ``"lp"``, a linear layer and then a pixel shuffle of its offsets, or
            ``"pl"``, a pixel shuffle of the features and then the linear layer, with
            1 / s⁴ of the weights; C has to be divisible by s² then.
        scope: the static factor, in low-resolution pixels per unit of the linear
            layer's output, or ``"dynamic"``.
        initial: where the points start, ``"bilinear"`` or ``"nearest"``.
        scope_bias: give the dynamic scope's layer a bias, as the authors' detection
            and segmentation code does; their standalone module has none.
        deterministic: add gradients in a fixed order, at several times the cost
            (``python -m benchmarks.operator_cost``); see
            :func:`dysample_lib.point_sample`.

    Shape:
        * input: (B, C, H, W), any floating-point dtype, any memory format
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.

    State dict: ``offset.weight``, ``offset.bias`` and, for dynamic scope,
    ``scope.weight``. The constant ``init_pos`` of the authors' module is accepted
    where it agrees with ``initial`` and is not written. For the authors' other
    checkpoints see :func:`dysample_lib.load_dysample_state_dict`.

    >>> upsample = DySample(64)
    >>> upsample(torch.randn(1, 64, 8, 9)).shape
    torch.Size([1, 64, 16, 18])
    """

    def __init__(
        self,
        in_channels: int,
        scale: int = 2,
        *,
        groups: int = 4,
        style: str = "lp",
        scope: float | str = 0.25,
        initial: str = "bilinear",
        scope_bias: bool = False,
        deterministic: bool = False,
    ) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        check_choice("style", style, STYLES)
        check_scope(scope)
        check_choice("initial", initial, INITIAL_MODES)
        if scope_bias and scope != "dynamic":
            raise ValueError(
                f'scope_bias has to be False unless scope="dynamic", got scope={scope}'
            )
        check_groups(groups, in_channels, "in_channels")
        if style == "pl" and in_channels % scale**2:
            raise ValueError(
                f"in_channels has to be divisible by scale² = {scale**2} for "
                f'style="pl", got in_channels={in_channels}'
            )
        self.in_channels = in_channels
        self.scale = scale
        self.groups = groups
        self.style = style
        self.static_scope = None if isinstance(scope, str) else float(scope)
        self.initial = initial
        self.deterministic = deterministic

        shared = scale**2 if style == "pl" else 1  # points with the same weights
        sizes = in_channels // shared, 2 * groups * scale**2 // shared
        self.offset = PointwiseConv2d(*sizes)
        if self.static_scope is None:
            self.scope = PointwiseConv2d(*sizes, bias=scope_bias)
        self.register_load_state_dict_pre_hook(init_pos.take)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as plain interpolation, up to offsets of about 0.001 (section 3.3)."""
        nn.init.normal_(self.offset.weight, std=0.001)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)
        if self.static_scope is None:
            nn.init.zeros_(self.scope.weight)
            if self.scope.bias is not None:
                nn.init.zeros_(self.scope.bias)

    def walking_range(self, x: Tensor) -> Tensor | float:
        """The factor on the linear layer's output, in low-resolution pixels.

        Returns the static scope, or for dynamic scope a map (B, 2·g·s², H, W), at
        least float32.
        """
        if self.static_scope is not None:
            return self.static_scope
        logits = self._points(self.scope(self._shuffled(x)))
        reach = logits.to(torch.promote_types(x.dtype, torch.float32)).sigmoid()
        return 0.5 * reach.flatten(1, 4)

    def offsets(self, x: Tensor) -> Tensor:
        """The offsets O of the sampling points, initial positions included.

        Shape:
            * x: (B, C, H, W)
            * returns: (B, 2·g·s², H, W), in low-resolution pixels, at least float32
        """
        check_map("x", x, channels=self.in_channels)
        dtype = torch.promote_types(x.dtype, torch.float32)
        start = self.initial_offsets(dtype, x.device)
        points, reach = self._moves(x)
        return torch.add(start, points.flatten(1, 4).to(dtype), alpha=reach)

    def _moves(self, x: Tensor) -> tuple[Tensor, float]:
        """The learned part of the offsets, and a factor that is yet to be applied."""
        seen = self._shuffled(x)
        moves = self.offset(seen)
        if self.static_scope is not None:
            return self._points(moves), self.static_scope
        # Past the layers nothing is rounded to half precision.
        dtype = torch.promote_types(x.dtype, torch.float32)
        moves = self.scope(seen).to(dtype).sigmoid() * moves.to(dtype)
        return self._points(moves), 0.5

    def initial_offsets(
        self, dtype: torch.dtype, device: torch.device | str | None = None
    ) -> Tensor:
        """Where all points of all groups start, (1, 2·g·s², 1, 1), in pixels.

        Computed rather than stored: a buffer would be rounded by ``module.half()``.
        """
        starts = initial_positions(self.scale, self.initial, dtype=dtype, device=device)
        return starts.flatten(1).repeat(1, self.groups).view(1, -1, 1, 1)

    def forward(self, x: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W), or to ``output_size``.

        Args:
            x: the features.
            output_size: (H', W') of a skip feature that is not exactly s times as
                large, each less than s pixels off. The points stay where they are: the
                right and bottom of the s·H × s·W result are cut off, which suits maps
                from padded strided convolutions (33 → 17 → 33), or the last row and
                column are repeated, which suits pooling (33 → 16 → 33).

        Raises:
            TypeError, ValueError: if the map or ``output_size`` does not fit.
        """
        check_map("x", x, channels=self.in_channels)
        size = check_output_size(output_size, x.shape[2:], self.scale)
        x = x.contiguous()  # once, for the layers and for grid_sample
        points, reach = self._moves(x)
        y = sample(
            x,
            points,
            initial=self.initial,
            reach=reach,
            deterministic=self.deterministic,
        )
        return fit(y, size)

    def _shuffled(self, x: Tensor) -> Tensor:
        """What the layers see: the map, or for PL each point's own channels."""
        if self.style == "lp":
            return x.contiguous()
        # As the layers are 1×1, it is enough to move the points beside the batch.
        # (On a CPU torch's own shuffles fail for an empty batch.)
        return x.unflatten(1, (-1, self.scale**2)).transpose(1, 2).flatten(0, 1)

    def _points(self, out: Tensor) -> Tensor:
        """What a layer returns, as a view (B, 2, g, s, s, H, W)."""
        s, groups = self.scale, self.groups
        if self.style == "lp":
            return out.unflatten(1, (2, groups, s, s))
        out = out.unflatten(0, (out.shape[0] // s**2, s, s)).unflatten(3, (2, groups))
        return out.permute(0, 3, 4, 1, 2, 5, 6)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map.

        Layers, twice that for dynamic scope: 4·g·s²·C·H·W for ``"lp"``, 4·g·C·H·W for
        ``"pl"``. Reading: 7·C·s²·H·W, four products and three sums for each value;
        14·g·s²·H·W for positions and weights (for each coordinate the range, the
        initial position, the pixel's centre, the fraction and its complement; four
        products of these); 4·g·s²·H·W more for dynamic scope.
        """
        pixels, points = height * width, self.scale**2 * height * width
        weights = self.offset.weight.numel()
        for_a_point = 14
        if self.static_scope is None:
            weights += self.scope.weight.numel()
            for_a_point += 4  # a sigmoid and a half for each coordinate
        return Flops(
            2 * weights * (pixels if self.style == "lp" else points),
            points * (7 * self.in_channels + for_a_point * self.groups),
        )

    def extra_repr(self) -> str:
        scope = "dynamic" if self.static_scope is None else self.static_scope
        biased = self.static_scope is None and self.scope.bias is not None
        return (
            f"{self.in_channels}, scale={self.scale}, groups={self.groups}, "
            f"style={self.style!r}, scope={scope!r}, initial={self.initial!r}"
            + ", scope_bias=True" * biased
            + ", deterministic=True" * self.deterministic
        )
