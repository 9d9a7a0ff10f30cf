"""What the data sets are here: uint8 images and what is to be read off them.

Three kinds, alike on purpose: a name, a split, images and targets in memory, and
``batch(index, flips)``, which is how training gets at them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

SPLITS = ("train", "val")
"""The splits that every data set has."""

NO_FLIPS: Mapping[int, Tensor] = MappingProxyType({})

Self = TypeVar("Self", bound="DataSet")  # typing has its own from Python 3.11 on
Sample = tuple[int, list[int]]  # which one, and the axes that it is mirrored along


@dataclass(frozen=True)
class DataSet(ABC):
    """What all kinds have.

    Attributes:
        name: the data set's name.
        split: ``"train"`` or ``"val"``.
        images: (N, 3, H, W), uint8.
        protagonist: the index of the image that the book's figures return to.
        checksum: of the files that the images were decoded from, where it was verified.
    """

    name: str
    split: str
    images: Any  # a tensor; DetectionSet may have a list
    protagonist: int = field(default=0, kw_only=True)
    checksum: str = field(default="", kw_only=True)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels; the largest where they differ."""
        one_size = isinstance(self.images, Tensor)
        shapes = [
            images.shape for images in ([self.images] if one_size else self.images)
        ]
        return max(shape[-2] for shape in shapes), max(shape[-1] for shape in shapes)

    def to(self: Self, device: torch.device | str) -> Self:
        """Return the set with its tensors on ``device``."""
        entries = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return replace(self, **{k: _move(v, device) for k, v in entries.items()})

    @abstractmethod
    def batch(self, index: Tensor, flips: Mapping[int, Tensor] = NO_FLIPS) -> Any:
        """Images and targets of some samples, flipped together.

        A flipped copy is made of what is flipped, a sample at a time: flipping a whole
        batch of uint8 images, to choose afterwards, takes several times as long on a
        CPU.

        Args:
            index: (B,), int64: which samples, in this order.
            flips: for the axis -1 (left and right) or -2 (top and bottom), which of
                the B samples are mirrored along it: (B,), bool.

        Raises:
            TypeError, ValueError: ``index`` or ``flips`` is something else.
        """


@dataclass(frozen=True)
class SegmentationSet(DataSet):
    """Images and their label maps.

    Attributes:
        masks: (N, H, W), uint8: a class index, or ``ignore_index``.
        classes: the names of the classes, in the order of their indices.
        ignore_index: the label that neither loss nor metrics count; 255.
    """

    images: Tensor
    masks: Tensor
    classes: tuple[str, ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        _check("images", self.images, torch.uint8, (len(self), 3, *self.size))
        _check("masks", self.masks, torch.uint8, (len(self), *self.size))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.masks[index]

    def batch(
        self, index: Tensor, flips: Mapping[int, Tensor] = NO_FLIPS
    ) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and masks (B, H, W); see :meth:`DataSet.batch`."""
        samples = _samples(index, flips, len(self))
        return _stack(self.images, samples), _stack(self.masks, samples)


@dataclass(frozen=True)
class HeightSet(DataSet):
    """Images and the height of the ground in each of their pixels.

    Attributes:
        heights: (N, H, W), float32, in ``unit``; 0 on the sea.
        land: (N, H, W), bool: where there is land and its height is known.
        unit: of the heights.
    """

    images: Tensor
    heights: Tensor
    land: Tensor
    unit: str = "m"

    def __post_init__(self) -> None:
        _check("images", self.images, torch.uint8, (len(self), 3, *self.size))
        _check("heights", self.heights, torch.float32, (len(self), *self.size))
        _check("land", self.land, torch.bool, (len(self), *self.size))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, heights = self.batch(torch.tensor([index]))
        return images[0], heights[0]

    def batch(
        self, index: Tensor, flips: Mapping[int, Tensor] = NO_FLIPS
    ) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and heights (B, H, W), not a number but on ``land``.

        See :meth:`DataSet.batch`.
        """
        samples = _samples(index, flips, len(self))
        heights, land = (_stack(t, samples) for t in (self.heights, self.land))
        return _stack(self.images, samples), heights.where(land, torch.nan)


@dataclass(frozen=True)
class DetectionSet(DataSet):
    """Images and the objects in them, which do not overlap.

    Images of one size are one tensor; images of several are a list of tensors, and so
    are their maps. Boxes and masks are read off ``instances`` when they are asked for:
    they cannot come apart, or stay behind when an image is flipped.

    Attributes:
        images: (N, 3, H, W), or N of (3, H, W), uint8.
        instances: (N, H, W), or N of (H, W), int16: the number of the object that a
            pixel belongs to, from 1, or 0.
        labels: N of (M,), int64: the class of each object in the order of its number,
            M differing from image to image.
        counted: N of (M,), bool: False for an object that is neither to be found nor
            wrong to find: one that the image cuts off, for instance.
        classes: the names of the classes in the order of their indices; 0 is the
            background, as in torchvision's detectors.
        semantics: (N, H, W), uint8, for panoptic segmentation: an index into ``stuff``
            followed by the classes without the background, or ``ignore_index``. None
            where there is no such map.
        stuff: the names of what fills an image and is not counted: ocean, land.
        ignore_index: the label of ``semantics`` that nothing counts; 255.
    """

    images: Tensor | list[Tensor]
    instances: Tensor | list[Tensor]
    labels: list[Tensor]
    counted: list[Tensor]
    classes: tuple[str, ...]
    semantics: Tensor | None = None
    stuff: tuple[str, ...] = ()
    ignore_index: int = 255

    def __post_init__(self) -> None:
        for name in ("instances", "labels", "counted"):
            if len(getattr(self, name)) != len(self):
                raise ValueError(
                    f"{name} has to have an entry for each of {len(self)} images, got "
                    f"{len(getattr(self, name))}"
                )
        for k, image in enumerate(self.images):
            size, objects = tuple(image.shape[-2:]), (len(self.labels[k]),)
            _check(f"images[{k}]", image, torch.uint8, (3, *size))
            _check(f"instances[{k}]", self.instances[k], torch.int16, size)
            _check(f"labels[{k}]", self.labels[k], torch.int64, objects)
            _check(f"counted[{k}]", self.counted[k], torch.bool, objects)
            pixels = self.instances[k].flatten().long().bincount(minlength=1)
            if pixels[1:].shape != objects or not pixels[1:].all():
                raise ValueError(
                    f"instances[{k}] has to number {objects[0]} objects, as many as it "
                    f"has labels, from 1 on, got {pixels.nonzero().flatten().tolist()}"
                )
        if self.semantics is not None:
            _check("semantics", self.semantics, torch.uint8, (len(self), *self.size))

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.images[index], self._target((index, []), everything=False)

    def batch(
        self,
        index: Tensor,
        flips: Mapping[int, Tensor] = NO_FLIPS,
        *,
        everything: bool = False,
    ) -> tuple[Tensor | list[Tensor], list[dict[str, Tensor]]]:
        """Images, and the objects in each of them as torchvision's detectors take them.

        Args:
            index: see :meth:`DataSet.batch`.
            flips: see there.
            everything: give also the objects that are not counted, with ``iscrowd`` 1,
                as the measurement needs them and training does not.

        Returns:
            Images (B, 3, H, W), or a list where they are one here, and for each a dict
            of ``boxes`` (M, 4), float32, the left, upper, right and lower edges in
            pixels, ``labels`` (M,), int64, ``masks`` (M, H, W), uint8, ``iscrowd``
            (M,), int64, and, where the set has them, ``semantics`` (H, W), uint8.
        """
        samples = _samples(index, flips, len(self))
        targets = [self._target(sample, everything=everything) for sample in samples]
        if isinstance(self.images, Tensor):
            return _stack(self.images, samples), targets
        return [_flip(self.images[k], axes) for k, axes in samples], targets

    def _target(self, sample: Sample, *, everything: bool) -> dict[str, Tensor]:
        k, axes = sample
        counted = self.counted[k]
        chosen = torch.ones_like(counted) if everything else counted
        numbers = 1 + chosen.nonzero()
        masks = _flip(self.instances[k], axes) == numbers[:, :, None]
        target = {
            "boxes": mask_edges(masks),
            "labels": self.labels[k][chosen],
            "masks": masks.byte(),
            "iscrowd": (~counted[chosen]).long(),
        }
        if self.semantics is not None:
            target["semantics"] = _flip(self.semantics[k], axes)
        return target


def mask_edges(masks: Tensor) -> Tensor:
    """The boxes (M, 4) of masks (M, H, W): left, upper, right and lower edge.

    Edges, not pixels: the box of a mask of one pixel is 1 wide, as COCO counts, where
    ``torchvision.ops.masks_to_boxes`` makes it 0. No mask may be empty.
    """
    left, right = _first_and_last(masks.any(1))
    upper, lower = _first_and_last(masks.any(2))
    return torch.stack([left, upper, right, lower], 1).float()


def _first_and_last(lines: Tensor) -> tuple[Tensor, Tensor]:
    """Where the first True of each line begins, and where the last one ends."""
    return (
        lines.byte().argmax(1),
        lines.shape[1] - lines.flip(1).byte().argmax(1),
    )


def _check(
    name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    if tensor.dtype != dtype or tensor.shape != shape:
        raise ValueError(
            f"{name} has to be {dtype} of the shape {shape}, got {tensor.dtype} of "
            f"the shape {tuple(tensor.shape)}"
        )


def _samples(index: Tensor, flips: Mapping[int, Tensor], count: int) -> list[Sample]:
    """Each sample of a batch, and the axes that it is mirrored along."""
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
    numbers = index.tolist()
    if not 0 <= min(numbers) <= max(numbers) < count:
        raise ValueError(f"index has to be in 0 … {count - 1}, got {numbers}")
    mirrored = {axis: chosen.tolist() for axis, chosen in flips.items()}
    return [
        (number, [axis for axis, chosen in mirrored.items() if chosen[place]])
        for place, number in enumerate(numbers)
    ]


def _flip(tensor: Tensor, axes: list[int]) -> Tensor:
    return tensor.flip(axes) if axes else tensor


def _stack(tensor: Tensor, samples: list[Sample]) -> Tensor:
    return torch.stack([_flip(tensor[k], axes) for k, axes in samples])


def _move(value: Any, device: torch.device | str) -> Any:
    """A tensor or the tensors of a list on ``device``; anything else as it is."""
    if isinstance(value, list):
        return [_move(item, device) for item in value]
    return value.to(device) if isinstance(value, Tensor) else value
