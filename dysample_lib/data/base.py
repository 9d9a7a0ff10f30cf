"""What the data sets are here: uint8 images and what is to be read off them.

Three kinds, alike on purpose: a name, a split, images and targets in memory, and
``batch(index, flips)``, which is how training gets at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

SPLITS = ("train", "val")
"""The splits that every data set has."""

NO_FLIPS: Mapping[int, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class SegmentationSet:
    """Images and their label maps.

    Attributes:
        name: the data set's name.
        split: ``"train"`` or ``"val"``.
        images: (N, 3, H, W), uint8.
        masks: (N, H, W), uint8: a class index, or ``ignore_index``.
        classes: the names of the classes, in the order of their indices.
        ignore_index: the label that neither loss nor metrics count; 255.
        protagonist: the index of the image that the book's figures return to.
        checksum: of the files that the images were decoded from, where it was verified.
    """

    name: str
    split: str
    images: Tensor
    masks: Tensor
    classes: tuple[str, ...]
    ignore_index: int = 255
    protagonist: int = 0
    checksum: str = ""

    def __post_init__(self) -> None:
        check_images(self.images)
        count, _, height, width = self.images.shape
        check_tensor("masks", self.masks, torch.uint8, (count, height, width))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.masks[index]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        return self.images.shape[-2], self.images.shape[-1]

    def to(self, device: torch.device | str) -> SegmentationSet:
        """Return the set with its tensors on ``device``."""
        return replace(self, images=self.images.to(device), masks=self.masks.to(device))

    def batch(
        self, index: Tensor, flips: Mapping[int, Tensor] = NO_FLIPS
    ) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and masks (B, H, W) of some samples, flipped together.

        Args:
            index: (B,), int64: which samples, in this order.
            flips: for the axis -1 (left and right) or -2 (top and bottom), which of
                the B samples are mirrored along it: (B,), bool.

        Raises:
            TypeError, ValueError: ``index`` or ``flips`` is something else.
        """
        samples = mirrored(index, flips, len(self))
        return (
            torch.stack([flip(self.images[k], axes) for k, axes in samples]),
            torch.stack([flip(self.masks[k], axes) for k, axes in samples]),
        )


def check_images(images: Tensor) -> None:
    """Raise unless ``images`` are (N, 3, H, W), uint8."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            "images have to be uint8 of the shape (N, 3, H, W), got "
            f"{images.dtype} of the shape {tuple(images.shape)}"
        )


def check_tensor(
    name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    """Raise unless ``tensor`` has this type and shape."""
    if tensor.dtype != dtype or tensor.shape != shape:
        raise ValueError(
            f"{name} has to be {dtype} of the shape {shape}, got {tensor.dtype} of "
            f"the shape {tuple(tensor.shape)}"
        )


def mirrored(
    index: Tensor, flips: Mapping[int, Tensor], count: int
) -> list[tuple[int, list[int]]]:
    """Each sample of a batch, and the axes that it is mirrored along.

    A sample at a time: flipping a whole batch of uint8 images, to choose afterwards,
    takes several times as long on a CPU.
    """
    if index.dtype != torch.int64 or index.ndim != 1 or not len(index):
        raise TypeError(
            "index has to be int64 of the shape (B,), with B of at least 1, got "
            f"{index.dtype} of the shape {tuple(index.shape)}"
        )
    for axis, chosen in flips.items():
        if axis not in (-1, -2):
            raise ValueError(f"flips has to name the axes -1 and -2 alone, got {axis}")
        if chosen.dtype != torch.bool or chosen.shape != index.shape:
            raise TypeError(
                f"flips[{axis}] has to be bool of the shape {tuple(index.shape)}, got "
                f"{chosen.dtype} of the shape {tuple(chosen.shape)}"
            )
    samples = index.tolist()
    if not 0 <= min(samples) <= max(samples) < count:
        raise ValueError(f"index has to be in 0 … {count - 1}, got {samples}")
    chosen_along = {axis: chosen.tolist() for axis, chosen in flips.items()}
    return [
        (sample, [axis for axis, chosen in chosen_along.items() if chosen[place]])
        for place, sample in enumerate(samples)
    ]


def flip(tensor: Tensor, axes: list[int]) -> Tensor:
    """``tensor`` mirrored along ``axes``; itself where there are none."""
    return tensor.flip(axes) if axes else tensor
