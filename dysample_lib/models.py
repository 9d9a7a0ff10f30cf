"""The testbed: an encoder, three decoders, and the network that joins them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._checks import check_choice, check_positive_integer
from .upsamplers import build_upsampler

DECODERS = ("pointwise", "segformer", "fpn")
ENCODERS = ("small", "resnet18")


def _conv_norm_relu(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class SmallEncoder(nn.Module):
    """Two 3×3 convolutions a stage, four stages, trained from scratch in seconds.

    Shape:
        * input: (B, 3, H, W)
        * output: four maps (B, C_i, H / r_i, W / r_i), r = 2, 4, 8, 16, rounded up
    """

    channels = (24, 32, 48, 64)
    stride = 16

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *self.channels[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                _conv_norm_relu(i, o, kernel=3, stride=2),
                _conv_norm_relu(o, o, kernel=3),
            )
            for i, o in zip(inputs, self.channels, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps, finest first."""
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels


class ResNet18Encoder(nn.Module):
    """torchvision's ResNet-18, with its ImageNet weights where ``pretrained``.

    Shape:
        * input: (B, 3, H, W)
        * output: four maps (B, C_i, H / r_i, W / r_i), r = 4, 8, 16, 32, rounded up
    """

    channels = (64, 128, 256, 512)
    stride = 32

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        from torchvision.models import ResNet18_Weights, resnet18
        from torchvision.models.feature_extraction import create_feature_extractor

        weights = ResNet18_Weights.IMAGENET1K_V1 if pretrained else None
        nodes = {f"layer{i}": f"level{i}" for i in (1, 2, 3, 4)}
        self.body = create_feature_extractor(resnet18(weights=weights), nodes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps, finest first."""
        return list(self.body(x).values())


def _upsamplers(name: str, width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(build_upsampler(name, width) for _ in range(count))


class PointwiseDecoder(nn.Module):
    """1×1 convolution, three upsamplers ×2, 1×1 classifier; nothing spatial besides.

    Whatever boundary the result has, the upsamplers drew it. The normalisation in
    front of them keeps their input near the unit range that the paper's scope factor
    assumes (section 3.2).

    Shape:
        * input: the encoder's maps; only the one at stride ``from_level`` is read
        * output: (B, K, 8·h, 8·w) for a map of h × w
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.project = _conv_norm_relu(channels[-1], width)
        self.classify = nn.Conv2d(width, num_classes, 1)
        self.upsamplers = _upsamplers(upsampler, width, 3)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at eight times the coarsest map's size."""
        x = self.project(levels[-1])
        for upsample in self.upsamplers:
            x = upsample(x)
        return self.classify(x)


class SegFormerDecoder(nn.Module):
    """SegFormer's head (Xie et al., 2021) with ×2 steps: the paper's section 4.1.

    Each level goes through a 1×1 convolution and as many upsamplers as it takes to
    reach the finest one, 0 + 1 + 2 + 3 = six in all; then concatenate, fuse, classify.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(_conv_norm_relu(c, width) for c in channels)
        self.fuse = _conv_norm_relu(width * len(channels), width)
        self.classify = nn.Conv2d(width, num_classes, 1)
        self.upsamplers = _upsamplers(upsampler, width, sum(range(len(channels))))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at the finest map's size."""
        steps = iter(self.upsamplers)
        maps = []
        for depth, (project, level) in enumerate(
            zip(self.project, levels, strict=True)
        ):
            x = project(level)
            for _ in range(depth):
                x = next(steps)(x)
            maps.append(x)
        return self.classify(self.fuse(torch.cat(maps, dim=1)))


class FPNDecoder(nn.Module):
    """A feature pyramid's top-down path (Lin et al., 2017), three upsamplers ×2.

    Shape:
        * input: four maps, each twice as large as the next
        * output: (B, K, h, w), the size of the finest map
    """

    def __init__(
        self, channels: tuple[int, ...], num_classes: int, upsampler: str, width: int
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_conv_norm_relu(c, width) for c in channels)
        self.smooth = _conv_norm_relu(width, width, kernel=3)
        self.classify = nn.Conv2d(width, num_classes, 1)
        self.upsamplers = _upsamplers(upsampler, width, len(channels) - 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return logits at the finest map's size."""
        laterals = [f(x) for f, x in zip(self.lateral, levels, strict=True)]
        x = laterals.pop()
        for upsample in self.upsamplers:
            x = laterals.pop() + upsample(x)
        return self.classify(self.smooth(x))


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
