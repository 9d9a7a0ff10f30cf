"""The decoders: what stands between the encoder's maps and the logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ops.pointwise import PointwiseConv2d
from ..upsamplers import UPSAMPLERS, GuidedUpsampler, build_upsampler
from .encoders import conv_norm_relu


def _upsamplers(name: str, width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(build_upsampler(name, width) for _ in range(count))


def _upsample(upsampler: nn.Module, x: Tensor, guide: Tensor) -> Tensor:
    """One ×2 step; ``guide``, as large as its result, is for those that take one."""
    if isinstance(upsampler, GuidedUpsampler):
        return upsampler(x, guide)
    return upsampler(x)


class PointwiseDecoder(nn.Module):
    """1×1 convolution, three upsamplers ×2, 1×1 classifier; nothing spatial besides.

    Whatever boundary the result has, the upsamplers drew it. The normalisation in
    front of them keeps their input near the unit range that the paper's scope factor
    assumes (section 3.2). Guided upsamplers see the encoder's finer maps besides, each
    through a 1×1 convolution of its own.

    Shape:
        * input: the encoder's maps; only the coarsest is read, unless by a guide
        * output: (B, K, 8·h, 8·w) for a map of h × w
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.project = conv_norm_relu(channels[-1], width)
        self.classify = PointwiseConv2d(width, num_classes)
        finer = channels[-2::-1] if UPSAMPLERS[upsampler].guided else ()
        self.guides = nn.ModuleList(conv_norm_relu(c, width) for c in finer)
        self.upsamplers = _upsamplers(upsampler, width, 3)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at eight times the coarsest map's size."""
        *finer, coarsest = levels
        x = self.project(coarsest)
        for step, upsampler in enumerate(self.upsamplers):
            guide = finer.pop()
            if self.guides:
                guide = self.guides[step](guide)
            x = _upsample(upsampler, x, guide)
        return self.classify(x)


class SegFormerDecoder(nn.Module):
    """SegFormer's head (Xie et al., 2021) with ×2 steps: the paper's section 4.1.

    Each level goes through a 1×1 convolution and as many upsamplers as it takes to
    reach the finest one, 0 + 1 + 2 + 3 = six in all; then concatenate, fuse, classify.
    The projected finer levels are the guides of guided ones.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(conv_norm_relu(c, width) for c in channels)
        self.fuse = conv_norm_relu(width * len(channels), width)
        self.classify = PointwiseConv2d(width, num_classes)
        self.upsamplers = _upsamplers(upsampler, width, sum(range(len(channels))))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at the finest map's size."""
        steps = iter(self.upsamplers)
        projected = [f(x) for f, x in zip(self.project, levels, strict=True)]
        maps = []
        for depth, x in enumerate(projected):
            for guide in reversed(projected[:depth]):
                x = _upsample(next(steps), x, guide)
            maps.append(x)
        return self.classify(self.fuse(torch.cat(maps, dim=1)))


class FPNDecoder(nn.Module):
    """A feature pyramid's top-down path (Lin et al., 2017), three upsamplers ×2.

    The lateral map that a step's result is added to is the guide of guided ones.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm_relu(c, width) for c in channels)
        self.smooth = conv_norm_relu(width, width, kernel=3)
        self.classify = PointwiseConv2d(width, num_classes)
        self.upsamplers = _upsamplers(upsampler, width, len(channels) - 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at the finest map's size."""
        laterals = [f(x) for f, x in zip(self.lateral, levels, strict=True)]
        x = laterals.pop()
        for upsampler in self.upsamplers:
            lateral = laterals.pop()
            x = lateral + _upsample(upsampler, x, lateral)
        return self.classify(self.smooth(x))
