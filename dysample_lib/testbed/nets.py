"""The testbed: an encoder, a decoder with the upsampler under test, full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.checks import check_choice, check_positive_integer
from ..upsamplers import build_upsampler
from .decoders import FPNDecoder, PointwiseDecoder, SegFormerDecoder
from .encoders import ResNet18Encoder, SmallEncoder

DECODERS = ("pointwise", "segformer", "fpn")
ENCODERS = ("small", "resnet18")

_DECODER_CLASSES: dict[
    str, type[PointwiseDecoder] | type[SegFormerDecoder] | type[FPNDecoder]
] = {
    "pointwise": PointwiseDecoder,
    "segformer": SegFormerDecoder,
    "fpn": FPNDecoder,
}


class SegmentationNet(nn.Module):
    """Encoder, decoder with the upsampler under test, bilinear to full size.

    The encoder and the decoder's own layers are built before the upsamplers, so the
    same seed gives them the same weights whatever the upsampler: runs are paired.
    Guided upsamplers take the encoder's finer maps through the decoder.

    Args:
        num_classes: K.
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        decoder: ``"pointwise"``, ``"segformer"`` or ``"fpn"``.
        encoder: ``"small"``, or ``"resnet18"`` (torchvision).
        width: channels of the maps that the upsamplers see.
        pretrained: load the ImageNet weights of ``"resnet18"``.

    Shape:
        * images: (B, 3, H, W), uint8, or floating point in [0, 1]; any H, W ≥ 1
        * returns: logits (B, K, H, W)
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        upsampler: str = "grouping",
        decoder: str = "pointwise",
        encoder: str = "small",
        width: int = 32,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        check_positive_integer("num_classes", num_classes)
        check_positive_integer("width", width)
        check_choice("decoder", decoder, DECODERS)
        check_choice("encoder", encoder, ENCODERS)
        with torch.device("meta"):  # refuses a bad name or width, draws no weights
            build_upsampler(upsampler, width)
        self.encoder: SmallEncoder | ResNet18Encoder = (
            SmallEncoder() if encoder == "small" else ResNet18Encoder(pretrained)
        )
        self.decoder: PointwiseDecoder | SegFormerDecoder | FPNDecoder
        self.decoder = _DECODER_CLASSES[decoder](
            self.encoder.channels, num_classes, upsampler, width
        )
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for images (B, 3, H, W)."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(
                f"images has to be (B, 3, H, W), got {tuple(images.shape)}"
            )
        height, width = images.shape[-2:]
        x = images.to(self.mean.dtype)
        if images.dtype == torch.uint8:
            x = x / 255
        x = (x - self.mean) / self.std
        # Every level has to be exactly twice the next: pad to whole strides, cut later.
        stride = self.encoder.stride
        padded = (-height % stride, -width % stride)
        if any(padded):
            x = F.pad(x, (0, padded[1], 0, padded[0]), mode="replicate")
        logits = self.decoder(self.encoder(x))
        logits = F.interpolate(
            logits, size=x.shape[-2:], mode="bilinear", align_corners=False
        )
        return logits[..., :height, :width]


@torch.no_grad()
def upsampler_inputs(model: SegmentationNet, images: Tensor) -> list[Tensor]:
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
    training = model.training
    try:
        model.eval()(images.to(model.mean.device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return seen
