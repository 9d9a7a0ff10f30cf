"""The testbed: an encoder, a decoder with the upsampler under test, full size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.checks import check_choice, check_positive_integer
from ..upsamplers import build_upsampler
from .decoders import DECODERS
from .encoders import ENCODERS

Self = TypeVar("Self", bound="EncodingNet")  # typing has its own from Python 3.11 on


class EncodingNet(nn.Module):
    """What the networks of all tasks share: an encoder, and how images come to it.

    Args:
        encoder: a name from :data:`~dysample_lib.testbed.encoders.ENCODERS`.
        pretrained: load the weights of an encoder that has some.
        frozen: leave the encoder as it is: no gradients, always in evaluation mode.
        enlarge: the whole factor that images are enlarged by, bilinearly, before the
            encoder sees them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: str,
        *,
        pretrained: bool = True,
        frozen: bool = False,
        enlarge: int = 1,
    ) -> None:
        super().__init__()
        check_choice("encoder", encoder, tuple(ENCODERS))
        check_positive_integer("enlarge", enlarge)
        self.frozen = frozen
        self.enlarge = enlarge
        self.encoder = ENCODERS[encoder].build(pretrained)
        self.encoder.requires_grad_(not frozen)
        for name in ("mean", "std"):
            value = torch.tensor(getattr(self.encoder, name)).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def train(self: Self, mode: bool = True) -> Self:
        """Set the mode of all but a frozen encoder, whose statistics stay."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def encode(self, images: Tensor) -> list[Tensor]:
        """The encoder's maps of images (B, 3, H, W), finest first.

        Images are padded on the right and below to whole strides, so that every map is
        exactly twice as large as the next.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(
                f"images has to be (B, 3, H, W), got {tuple(images.shape)}"
            )
        x = images.to(self.mean.dtype)
        if not images.is_floating_point():
            x = x / 255
        x = (x - self.mean) / self.std
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear")
        height, width = self._padded(images.shape[-2], images.shape[-1])
        missing = (0, width - x.shape[-1], 0, height - x.shape[-2])
        if any(missing):
            x = F.pad(x, missing, mode="replicate")
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            levels: list[Tensor] = self.encoder(x)
        return levels

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        """The size that the encoder sees of images of a size."""
        stride = self.encoder.stride
        height, width = self.enlarge * height, self.enlarge * width
        return height + -height % stride, width + -width % stride


class DensePredictionNet(EncodingNet):
    """Encoder, decoder with the upsampler under test, bilinear to full size.

    The encoder and the decoder's own layers are built before the upsamplers, so the
    same seed gives them the same weights whatever the upsampler: runs are paired.
    Guided upsamplers take the encoder's finer maps through the decoder.

    Args:
        out_channels: K: the classes of a segmentation, 1 for a map of heights.
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        options: of the upsampler, where they differ from its entry's.
        decoder: a name from :data:`~dysample_lib.testbed.decoders.DECODERS`.
        encoder: see :class:`EncodingNet`.
        width: channels of the maps that the upsamplers see.
        pretrained: see :class:`EncodingNet`.
        frozen: see :class:`EncodingNet`.

    Shape:
        * images: (B, 3, H, W), integers in [0, 255] or floating point in [0, 1]; any
          H, W ≥ 1
        * returns: predictions (B, K, H, W)
    """

    def __init__(
        self,
        out_channels: int,
        *,
        upsampler: str = "grouping",
        options: Mapping[str, Any] | None = None,
        decoder: str = "pointwise",
        encoder: str = "small",
        width: int = 32,
        pretrained: bool = True,
        frozen: bool = False,
    ) -> None:
        check_positive_integer("out_channels", out_channels)
        check_positive_integer("width", width)
        check_choice("decoder", decoder, tuple(DECODERS))
        check_upsampler(upsampler, width, options)
        super().__init__(encoder, pretrained=pretrained, frozen=frozen)
        self.decoder = DECODERS[decoder](
            self.encoder.channels, out_channels, upsampler, width, options
        )
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Return predictions (B, K, H, W) for images (B, 3, H, W)."""
        levels = self.encode(images)
        return self.decode(levels, (images.shape[-2], images.shape[-1]))

    def decode(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Predictions (B, K, H, W) from the encoder's maps of images of ``size``."""
        padded = self._padded(*size)
        # With a few channels the contiguous layout is the quicker one to enlarge.
        y = self.decoder(levels).contiguous()
        y = F.interpolate(y, size=padded, mode="bilinear", align_corners=False)
        # A slice of all would cost a copy of the gradient.
        return y if padded == size else y[..., : size[0], : size[1]]


def check_upsampler(
    name: str, channels: int, options: Mapping[str, Any] | None
) -> None:
    """Raise what building the upsampler would, and draw no weights."""
    with torch.device("meta"):
        build_upsampler(name, channels, **(options or {}))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; every module's own mode after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def upsampler_inputs(model: DensePredictionNet, images: Tensor) -> list[Tensor]:
    """Return the map that each of the decoder's upsamplers reads, in their order.

    Shape:
        * images: (B, 3, H, W)
        * returns: one (B, C, h, w) for each upsampler, on the model's device
    """
    seen: list[Tensor] = []
    handles = [
        upsampler.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for upsampler in model.decoder.upsamplers
    ]
    try:
        with evaluating(model):
            model(images.to(model.mean.device))
    finally:
        for handle in handles:
            handle.remove()
    return seen
