"""DySample: upsampling with learned sampling points (Liu et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..ops.checks import (
    check_choice,
    check_groups,
    check_map,
    check_number,
    check_scope,
)
from ..ops.pointwise import PointwiseConv2d
from ..ops.sampling import INITIAL_MODES, initial_positions, sample, shuffle
from .base import Flops, Upsampler

torch.fx.wrap("sample")

STYLES = ("lp", "pl")
LIMITS = ("soft", "tanh")
DYNAMIC_SCOPE = 0.5
"""The most that the dynamic scope opens, in low-resolution pixels (equation 6)."""


class DySample(Upsampler):
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
        limit: ``"soft"``, the range alone, which the layer's output may overshoot, or
            ``"tanh"``, O = range · tanh(offset(X)) + initial, which keeps the points
            within their range. The paper reports the hard limit as worse.
        init_std: standard deviation of the offset layer's weights at the start.
        scope_bias: give the dynamic scope's layer a bias, as the authors' detection
            and segmentation code does; their standalone module has none.
        deterministic: add gradients in a fixed order, at several times the cost
            (``python -m benchmarks.operator_cost``) and without second derivatives;
            see :func:`dysample_lib.point_sample`.

    Shape:
        * input: (B, C, H, W), any floating-point dtype, any memory format
        * output: (B, C, s·H, s·W), or of ``output_size``, in the input's dtype

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.

    State dict: ``offset.weight``, ``offset.bias`` and, for dynamic scope,
    ``scope.weight``. The constant ``init_pos`` of the authors' module is accepted
    where it agrees with ``initial`` and is not written. For the authors' other
    checkpoints see :func:`dysample_lib.load_dysample_state_dict`.

    A model's own loop over all ``nn.Conv2d`` overwrites the offset layer, and points
    start pixels away: call ``reset_parameters()`` of each upsampler after it.

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
        limit: str = "soft",
        init_std: float = 0.001,
        scope_bias: bool = False,
        deterministic: bool = False,
    ) -> None:
        super().__init__(in_channels, scale)
        check_choice("style", style, STYLES)
        check_scope(scope)
        check_choice("initial", initial, INITIAL_MODES)
        check_choice("limit", limit, LIMITS)
        check_number("init_std", init_std, least=0)
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
        self.groups = groups
        self.style = style
        self.static_scope = None if isinstance(scope, str) else float(scope)
        self.initial = initial
        self.limit = limit
        self.init_std = float(init_std)
        self.deterministic = deterministic

        shared = scale**2 if style == "pl" else 1  # points with the same weights
        sizes = in_channels // shared, 2 * groups * scale**2 // shared
        # Nearly plain interpolation: offsets of about 0.001 (section 3.3).
        init = partial(nn.init.normal_, std=self.init_std)
        self.offset = PointwiseConv2d(*sizes, init=init)
        if self.static_scope is None:
            self.scope = PointwiseConv2d(*sizes, scope_bias, init=nn.init.zeros_)
        self.register_load_state_dict_pre_hook(_take_init_pos)
        self.reset_parameters()

    def offset_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the offset layer."""
        return self.offset.parameters()

    def walking_range(self, x: Tensor) -> Tensor | float:
        """The factor on the linear layer's output, in low-resolution pixels.

        Returns the static scope, or for dynamic scope a map (B, 2·g·s², H, W), at
        least float32.
        """
        if self.static_scope is not None:
            return self.static_scope
        check_map("x", x, channels=self.in_channels)
        dtype = torch.promote_types(x.dtype, torch.float32)
        return DYNAMIC_SCOPE * self._by_pixel(self._gates(self._seen(x), dtype))

    def offsets(self, x: Tensor) -> Tensor:
        """The offsets O of the sampling points, initial positions included.

        Shape:
            * x: (B, C, H, W)
            * returns: (B, 2·g·s², H, W), in low-resolution pixels, at least float32
        """
        check_map("x", x, channels=self.in_channels)
        return self._by_pixel(self._offsets(x))

    def initial_offsets(
        self, dtype: torch.dtype, device: torch.device | str | None = None
    ) -> Tensor:
        """Where all points of all groups start, (1, 2·g·s², 1, 1), in pixels.

        Computed rather than stored: a buffer would be rounded by ``module.half()``.
        """
        starts = _starts(self.scale, self.groups, self.initial, dtype, device)
        return starts.view(1, -1, 1, 1)

    def upsample(self, x: Tensor) -> Tensor:
        """Sample ``x`` at its :meth:`offsets`."""
        x = x.contiguous()  # once, for the layers and for grid_sample
        offsets = self._in_place(self._offsets(x))
        return sample(x, offsets, self.scale, self.deterministic)

    def _offsets(self, x: Tensor) -> Tensor:
        """O = range · offset(X) + initial, laid out as the layers' results."""
        seen = self._seen(x)
        initial = _starts_for(x, self.scale, self.groups, self.initial, self.style)
        # Past the layers nothing is rounded to half precision.
        moves = self.offset(seen).to(initial.dtype)
        if self.limit == "tanh":
            moves = moves.tanh()
        if self.static_scope is not None:
            return torch.add(initial, moves, alpha=self.static_scope)
        gates = self._gates(seen, initial.dtype)
        return torch.addcmul(initial, gates, moves, value=DYNAMIC_SCOPE)

    def _gates(self, seen: Tensor, dtype: torch.dtype) -> Tensor:
        """How far the dynamic scope opens, from 0 to 1."""
        return self.scope(seen).to(dtype).sigmoid()

    # The layers of LP see the map and return (B, 2·g·s², H, W). Those of PL see each
    # point's own channels: as they are 1×1, it is enough to move the points beside the
    # batch, (B·s², C / s², H, W), and they return (B·s², 2·g, H, W).

    def _seen(self, x: Tensor) -> Tensor:
        if self.style == "lp":
            return x.contiguous()
        return x.unflatten(1, (-1, self.scale**2)).transpose(1, 2).flatten(0, 1)

    def _by_pixel(self, out: Tensor) -> Tensor:
        """What a layer returns, as (B, 2·g·s², H, W)."""
        if self.style == "lp":
            return out
        points = self.scale**2
        out = out.unflatten(0, (out.shape[0] // points, points))
        return out.transpose(1, 2).flatten(1, 2)

    def _in_place(self, out: Tensor) -> Tensor:
        """What a layer returns, at the output's pixels, (B, 2·g, s·H, s·W)."""
        s = self.scale
        if self.style == "lp":
            return shuffle(out, s)
        count, channels, height, width = out.shape
        out = out.reshape(count // s**2, s, s, channels * height, width)
        out = out.permute(0, 3, 1, 4, 2)
        return out.reshape(count // s**2, channels, s * height, s * width)

    def check_init_pos(self, theirs: Tensor, name: str = "init_pos") -> None:
        """Raise unless ``theirs``, a checkpoint's constant, holds this module's points.

        Args:
            theirs: initial positions as the authors' module keeps them in a buffer.
            name: its key, for the message.
        """
        ours = self.initial_offsets(torch.float32, "cpu")
        theirs = theirs.detach().to("cpu", torch.float32)
        # Half-precision checkpoints hold rounded positions, hence the tolerance.
        if theirs.shape != ours.shape or not torch.allclose(theirs, ours, atol=1e-3):
            raise ValueError(
                f"{name} of shape {tuple(theirs.shape)} holds other initial "
                f"positions than this module ({self.extra_repr()}): build it with the "
                "checkpoint's scale, groups and initial"
            )

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
            f"{super().extra_repr()}, groups={self.groups}, style={self.style!r}, "
            f"scope={scope!r}, initial={self.initial!r}"
            + f", limit={self.limit!r}" * (self.limit != "soft")
            + f", init_std={self.init_std}" * (self.init_std != 0.001)
            + ", scope_bias=True" * biased
            + ", deterministic=True" * self.deterministic
        )


def _starts(
    scale: int,
    groups: int,
    mode: str,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> Tensor:
    """Where the points of all groups start, (2, g·s²)."""
    starts = initial_positions(scale, mode, dtype=dtype, device=device)
    return starts.flatten(1).repeat(1, groups)


@torch.fx.wrap
def _starts_for(x: Tensor, scale: int, groups: int, mode: str, style: str) -> Tensor:
    """The same for the layers' results of ``x``, in float32 or better."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    starts = _starts(scale, groups, mode, dtype, x.device)
    if style == "lp":
        return starts.view(1, -1, 1, 1)
    return starts.view(-1, scale**2).t().repeat(x.shape[0], 1)[..., None, None]


def _take_init_pos(
    module: Any, state_dict: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Accept the authors' persistent ``init_pos``; it has to be the same points."""
    theirs = state_dict.pop(prefix + "init_pos", None)
    if theirs is not None:
        module.check_init_pos(theirs, prefix + "init_pos")
