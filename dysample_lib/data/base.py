"""What every data set is here: uint8 images and label maps, held in memory."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

SPLITS = ("train", "val")
"""The splits that every data set has."""


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
    """

    name: str
    split: str
    images: Tensor
    masks: Tensor
    classes: tuple[str, ...]
    ignore_index: int = 255
    protagonist: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.masks[index]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        return self.images.shape[-2], self.images.shape[-1]
