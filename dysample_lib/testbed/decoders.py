"""The decoders: what stands between the encoder's maps and the prediction.

Adding one takes a class here and a line in :data:`DECODERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..adapt.pyramid import top_down
from ..ops.pointwise import PointwiseConv2d
from ..upsamplers import UPSAMPLERS, build_upsampler
from .encoders import conv_norm_relu


class Decoder(nn.Module, ABC):
    """What turns the encoder's maps into a map of predictions.

    Subclasses build their own layers first and the upsamplers last, so that one seed
    gives those layers the same weights whatever the upsampler: runs are paired.

    Args:
        channels: of the encoder's maps, finest first.
        out_channels: K, of the prediction.
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        width: channels of the maps that the upsamplers see.
        options: of the upsampler, where they differ from its entry's.
    """

    upsamplers: nn.ModuleList

    def __init__(
        self,
        channels: tuple[int, ...],
        out_channels: int,
        upsampler: str,
        width: int,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.guided = UPSAMPLERS[upsampler].guided
        self.build(channels, out_channels, width)
        self.upsamplers = nn.ModuleList(
            build_upsampler(upsampler, width, **(options or {}))
            for _ in range(self.steps(len(channels)))
        )

    @abstractmethod
    def build(self, channels: tuple[int, ...], out_channels: int, width: int) -> None:
        """Build the layers beside the upsamplers."""

    @staticmethod
    @abstractmethod
    def steps(levels: int) -> int:
        """How many upsamplers ×2 it takes for so many maps."""

    @abstractmethod
    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return predictions (B, K, h, w) for the encoder's maps."""

    def upsample(self, step: int, x: Tensor, guide: Tensor) -> Tensor:
        """One ×2 step; those that take a ``guide`` get one as large as the result."""
        upsampler = self.upsamplers[step]
        return upsampler(x, guide=guide) if self.guided else upsampler(x)


class PointwiseDecoder(Decoder):
    """1×1 convolution, upsamplers ×2, 1×1 classifier; nothing spatial besides.

    Whatever boundary the result has, the upsamplers drew it. The normalisation in
    front of them keeps their input near the unit range that the paper's scope factor
    assumes (section 3.2). Guided upsamplers see the encoder's finer maps besides, each
    through a 1×1 convolution of its own.

    Shape:
        * input: the encoder's maps; only the coarsest is read, unless by a guide
        * output: (B, K, h, w), the size of the finest map
    """

    def build(self, channels: tuple[int, ...], out_channels: int, width: int) -> None:
        """Build the projection, the classifier and, for guided ones, the guides."""
        self.project = conv_norm_relu(channels[-1], width)
        self.classify = PointwiseConv2d(width, out_channels)
        finer = channels[-2::-1] if self.guided else ()
        self.guides = nn.ModuleList(conv_norm_relu(c, width) for c in finer)

    @staticmethod
    def steps(levels: int) -> int:
        """One from each map to the next finer one."""
        return levels - 1

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return predictions at the finest map's size."""
        *finer, coarsest = levels
        x = self.project(coarsest)
        for step in range(len(self.upsamplers)):
            guide = finer.pop()
            if self.guided:
                guide = self.guides[step](guide)
            x = self.upsample(step, x, guide)
        return self.classify(x)


class SegFormerDecoder(Decoder):
    """SegFormer's head (Xie et al., 2021) with ×2 steps: the paper's section 4.1.

    Each level goes through a 1×1 convolution and as many upsamplers as it takes to
    reach the finest one, 0 + 1 + 2 + 3 = six in all; then concatenate, fuse, classify.
    The projected finer levels are the guides of guided ones.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def build(self, channels: tuple[int, ...], out_channels: int, width: int) -> None:
        """Build the projections, the fusing layer and the classifier."""
        self.project = nn.ModuleList(conv_norm_relu(c, width) for c in channels)
        self.fuse = conv_norm_relu(width * len(channels), width)
        self.classify = PointwiseConv2d(width, out_channels)

    @staticmethod
    def steps(levels: int) -> int:
        """0 + 1 + 2 + … from each map to the finest one."""
        return sum(range(levels))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return predictions at the finest map's size."""
        steps = iter(range(len(self.upsamplers)))
        projected = [f(x) for f, x in zip(self.project, levels, strict=True)]
        maps = []
        for depth, x in enumerate(projected):
            for guide in reversed(projected[:depth]):
                x = self.upsample(next(steps), x, guide)
            maps.append(x)
        return self.classify(self.fuse(torch.cat(maps, dim=1)))


class FPNDecoder(Decoder):
    """A feature pyramid's top-down path (Lin et al., 2017), three upsamplers ×2.

    The lateral map that a step's result is added to is the guide of guided ones.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def build(self, channels: tuple[int, ...], out_channels: int, width: int) -> None:
        """Build the lateral layers, the smoothing one and the classifier."""
        self.lateral = nn.ModuleList(conv_norm_relu(c, width) for c in channels)
        self.smooth = conv_norm_relu(width, width, kernel=3)
        self.classify = PointwiseConv2d(width, out_channels)

    @staticmethod
    def steps(levels: int) -> int:
        """One from each map to the next finer one."""
        return levels - 1

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return predictions at the finest map's size."""
        laterals = [f(x) for f, x in zip(self.lateral, levels, strict=True)]
        finest_first = list(self.upsamplers)[::-1]
        return self.classify(self.smooth(top_down(laterals, finest_first)[0]))


DECODERS: dict[str, type[Decoder]] = {
    "pointwise": PointwiseDecoder,
    "segformer": SegFormerDecoder,
    "fpn": FPNDecoder,
}
"""All decoders by name."""
