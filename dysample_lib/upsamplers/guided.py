"""What guided upsamplers share: a second map, of the output's size, says where to."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ..ops.checks import check_map, check_positive_integer


class GuidedUpsampler(nn.Module, ABC):
    """An upsampler that reads a high-resolution feature beside the map it upsamples.

    Subclasses write :meth:`upsample`; the maps it gets fit together.

    Args:
        in_channels: C.
        scale: upsampling ratio s, an integer of at least 1.
        guide_channels: C_g, or None for C.

    Shape:
        * x: (B, C, H, W), any floating-point dtype
        * guide: (B, C_g, s·H, s·W), for instance the encoder's map of that size
        * output: (B, C, s·H, s·W), in the dtype of x

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any work.
    """

    def __init__(
        self, in_channels: int, scale: int = 2, guide_channels: int | None = None
    ) -> None:
        super().__init__()
        check_positive_integer("in_channels", in_channels)
        check_positive_integer("scale", scale)
        if guide_channels is None:
            guide_channels = in_channels
        check_positive_integer("guide_channels", guide_channels)
        self.in_channels = in_channels
        self.scale = scale
        self.guide_channels = guide_channels

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        """Upsample ``x`` (B, C, H, W) to the size of ``guide`` (B, C_g, s·H, s·W)."""
        self.check_maps(x, guide)
        assert guide is not None
        return self.upsample(x, guide).to(x.dtype)

    @abstractmethod
    def upsample(self, x: Tensor, guide: Tensor) -> Tensor:
        """The operator itself, for maps that have been checked."""

    def check_maps(self, x: object, guide: object) -> None:
        """Raise unless ``guide`` is a map s times as large as ``x``."""
        name = type(self).__name__
        check_map("x", x, channels=self.in_channels)
        assert isinstance(x, Tensor)
        batch, _, height, width = x.shape
        wanted = (batch, self.guide_channels, self.scale * height, self.scale * width)
        if guide is None:
            raise TypeError(
                f"guide is missing: {name} upsamples x of {tuple(x.shape)} by a "
                f"high-resolution feature of {wanted}"
            )
        check_map("guide", guide)
        assert isinstance(guide, Tensor)
        if tuple(guide.shape) != wanted:
            raise ValueError(
                f"guide has to be (B, guide_channels, scale·H, scale·W) = {wanted} for "
                f"x of {tuple(x.shape)}, got {tuple(guide.shape)}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, scale={self.scale}, "
            f"guide_channels={self.guide_channels}"
        )
