"""The encoders: a small one trained from scratch, and torchvision's ResNet-18."""

from __future__ import annotations

from torch import Tensor, nn


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU; padded to keep the size."""
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
                conv_norm_relu(i, o, kernel=3, stride=2),
                conv_norm_relu(o, o, kernel=3),
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
