"""DySample: upsampling with learned sampling points (Liu et al., ICCV 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._checks import (
    check_choice,
    check_groups,
    check_map,
    check_positive_integer,
    check_scope,
)
from ..sampling import INITIAL_MODES, initial_positions, point_sample

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

    Shape:
        * input: (B, C, H, W), any floating-point dtype, any memory format
        * output: (B, C, s·H, s·W), in the input's dtype

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.

    State dict: ``offset.weight``, ``offset.bias`` and, for dynamic scope,
    ``scope.weight``. The constant ``init_pos`` of the authors' module is accepted
    where it agrees with ``initial`` and is not written.

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
    ) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        check_choice("style", style, STYLES)
        check_scope(scope)
        check_choice("initial", initial, INITIAL_MODES)
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

        if style == "lp":
            linear_in, linear_out = in_channels, 2 * groups * scale**2
        else:
            linear_in, linear_out = in_channels // scale**2, 2 * groups
        self.offset = nn.Conv2d(linear_in, linear_out, 1)
        if self.static_scope is None:
            self.scope = nn.Conv2d(linear_in, linear_out, 1, bias=False)
        self.register_load_state_dict_pre_hook(_take_init_pos)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as plain interpolation, up to offsets of about 0.001 (section 3.3)."""
        nn.init.normal_(self.offset.weight, std=0.001)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)
        if self.static_scope is None:
            nn.init.zeros_(self.scope.weight)

    def walking_range(self, x: Tensor) -> Tensor | float:
        """The factor on the linear layer's output, in low-resolution pixels.

        Returns the static scope, or for dynamic scope a map (B, 2·g·s², H, W).
        """
        if self.static_scope is not None:
            return self.static_scope
        return 0.5 * self._linear(self.scope, x).sigmoid()

    def offsets(self, x: Tensor) -> Tensor:
        """The offsets O of the sampling points, initial positions included.

        Shape:
            * x: (B, C, H, W)
            * returns: (B, 2·g·s², H, W), in low-resolution pixels, at least float32
        """
        check_map("x", x, channels=self.in_channels)
        dtype = torch.promote_types(x.dtype, torch.float32)
        moved = self.walking_range(x) * self._linear(self.offset, x)
        return moved.to(dtype) + self.initial_offsets(dtype, x.device)

    def initial_offsets(
        self, dtype: torch.dtype, device: torch.device | str | None = None
    ) -> Tensor:
        """Where all points of all groups start, (1, 2·g·s², 1, 1), in pixels.

        Computed rather than stored: a buffer would be rounded by ``module.half()``.
        """
        starts = initial_positions(
            self.scale, self.initial, dtype=dtype, device=device
        ).flatten(1)
        return starts.repeat(1, self.groups).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W)."""
        return point_sample(x, self.offsets(x), self.scale, self.groups)

    def _linear(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if self.style == "lp":
            return layer(x)
        # Pixel shuffle, layer, unshuffle: as the layer is 1×1, it is enough to move the
        # points beside the batch. (On a CPU torch's own shuffles fail for an empty
        # batch, one of them forward, the other backward.)
        points = self.scale**2
        shuffled = x.unflatten(1, (-1, points)).transpose(1, 2).flatten(0, 1)
        out = layer(shuffled).unflatten(0, (x.shape[0], points))
        return out.transpose(1, 2).flatten(1, 2)

    def extra_repr(self) -> str:
        scope = "dynamic" if self.static_scope is None else self.static_scope
        return (
            f"{self.in_channels}, scale={self.scale}, groups={self.groups}, "
            f"style={self.style!r}, scope={scope!r}, initial={self.initial!r}"
        )


def _take_init_pos(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Accept the authors' persistent ``init_pos``; it has to be the same points."""
    assert isinstance(module, DySample)
    theirs = state_dict.pop(prefix + "init_pos", None)
    if theirs is None:
        return
    ours = module.initial_offsets(torch.float32, "cpu")
    theirs = theirs.detach().to("cpu", torch.float32)
    # Half-precision checkpoints hold rounded positions, hence the tolerance.
    if theirs.shape != ours.shape or not torch.allclose(theirs, ours, atol=1e-3):
        raise ValueError(
            f"{prefix}init_pos of shape {tuple(theirs.shape)} holds other initial "
            f"positions than this module ({module.extra_repr()}): build it with the "
            "checkpoint's scale, groups and initial"
        )
