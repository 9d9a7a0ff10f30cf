"""What all upsamplers share: the arguments, the checks, the output's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..ops.checks import check_map, check_positive_integer
from ..ops.output_size import check_output_size, fit

# To torch.fx whatever looks at a value or a size is one node: such graphs serve all
# sizes, and check them. The upsamplers' modules do the same.
torch.fx.wrap("check_output_size")
torch.fx.wrap("fit")


class Flops(NamedTuple):
    """Floating-point operations for one image; a product and its sum are two.

    Attributes:
        layers: the module's convolutions and linear layers, which torch's own counter
            sees one by one.
        reading: all the rest. Making the output's values from the map, with the
            positions, similarities and weights that it takes.
    """

    layers: int
    reading: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.layers + self.reading


class Upsampler(nn.Module):
    """A module that makes feature maps s times as large in height and width.

    Subclasses write :attr:`upsample` and :meth:`flops`. Those that read a second map
    set ``guided``: a high-resolution feature, for instance the encoder's of that size.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.

    Shape:
        * x: (B, C, H, W), any floating-point dtype, any memory format
        * guide: (B, C_g, s·H, s·W), for guided ones
        * output: (B, C, s·H, s·W), or of ``output_size``, in the dtype of x

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    guided = False
    """Whether :meth:`forward` takes a guide."""

    guide_channels: int
    """C_g, of guided ones."""

    upsample: Callable[..., Tensor]
    """The operator, for maps that have been checked: x, and the guide if there is."""

    def __init__(self, in_channels: int, scale: int = 2) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        self.in_channels = in_channels
        self.scale = scale

    def forward(
        self,
        x: Tensor,
        guide: Tensor | None = None,
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to (B, C, s·H, s·W), or to ``output_size``.

        Args:
            x: the features.
            guide: the high-resolution feature (B, C_g, s·H, s·W) of a guided
                upsampler; others take none.
            output_size: (H', W') of a skip feature that is not exactly s times as
                large, each less than s pixels off. The points stay where they are: the
                right and bottom of the s·H × s·W result are cut off, which suits maps
                from padded strided convolutions (33 → 17 → 33), or the last row and
                column are repeated, which suits pooling (33 → 16 → 33).

        Raises:
            TypeError, ValueError: if a map or ``output_size`` does not fit.
        """
        self.check_maps(x, guide)
        size = check_output_size(output_size, x.shape[2:], self.scale)
        y = self.upsample(x, guide) if self.guided else self.upsample(x)
        return fit(y.to(x.dtype), size)

    def flops(self, height: int, width: int) -> Flops:
        """Operations for one map of ``height`` × ``width``, by a closed formula."""
        raise NotImplementedError(f"{type(self).__name__} has no formula")

    def reset_parameters(self) -> None:
        """Start again, as a new one would: the remedy after a loop over all layers."""
        for layer in self.children():
            layer.reset_parameters()  # type: ignore[operator]

    def offset_parameters(self) -> Iterator[nn.Parameter]:
        """What says where it reads: none, but where a subclass has some."""
        return iter(())

    def check_maps(self, x: Tensor, guide: Tensor | None = None) -> None:
        """Raise unless ``x`` and, for guided upsamplers, ``guide`` fit."""
        guide_channels = self.guide_channels if self.guided else None
        name = type(self).__name__
        _check_maps(x, guide, name, self.in_channels, self.scale, guide_channels)

    def __prepare_scriptable__(self) -> Any:
        """Called by ``torch.jit.script`` for each module of a model."""
        raise TypeError(
            f"torch.jit.script cannot take {type(self).__name__}, or a model that "
            "holds one: trace it, torch.jit.trace(module, x), before the model is "
            "scripted, or capture the model with torch.export.export"
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, scale={self.scale}"
        if self.guided:
            text += f", guide_channels={self.guide_channels}"
        return text


@torch.fx.wrap
def _check_maps(
    x: Tensor,
    guide: Tensor | None,
    name: str,
    channels: int,
    scale: int,
    guide_channels: int | None,
) -> None:
    check_map("x", x, channels=channels)
    if guide_channels is None:
        if guide is not None:
            raise TypeError(f"guide has to be None: {name} upsamples x alone")
        return
    batch, _, height, width = x.shape
    wanted = (batch, guide_channels, scale * height, scale * width)
    if guide is None:
        raise TypeError(
            f"guide is missing: {name} upsamples x of {tuple(x.shape)} by a "
            f"high-resolution feature of {wanted}"
        )
    check_map("guide", guide)
    if tuple(guide.shape) != wanted:
        raise ValueError(
            f"guide has to be (B, guide_channels, scale·H, scale·W) = {wanted} for "
            f"x of {tuple(x.shape)}, got {tuple(guide.shape)}"
        )
