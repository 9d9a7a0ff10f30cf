"""Reading image files and label files, with errors that name the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Size = tuple[int, int]  # height, width

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_size(size: object) -> Size:
    """(height, width) from an integer or a pair of integers, all at least 1."""
    pair = (size, size) if isinstance(size, Integral) else size
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or any(isinstance(n, bool) or not isinstance(n, Integral) for n in pair)
    ):
        raise TypeError(f"size has to be an integer or (height, width), got {size!r}")
    height, width = (int(n) for n in pair)
    if height < 1 or width < 1:
        raise ValueError(f"size has to be at least 1 pixel each way, got {size!r}")
    return height, width


def _decode(path: Path, remedy: str) -> Image.Image:
    """The image of a file, all of it decoded, so that truncation shows here."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; {remedy}")
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be decoded ({error}); {remedy}") from error


def _check_labels(
    image: Image.Image, path: Path, labels: Collection[int], remedy: str
) -> None:
    if image.mode not in ("L", "P"):
        raise ValueError(
            f"{path} has the mode {image.mode}, not one label of 8 bits a pixel "
            f"(L or P); {remedy}"
        )
    unknown = np.setdiff1d(np.array(image), sorted(labels)).tolist()
    if unknown:
        raise ValueError(
            f"{path} has unknown labels: {unknown}; known are {sorted(labels)}; "
            f"{remedy}"
        )


def _shape(image: Image.Image) -> Size:
    return image.height, image.width


def read_pair(
    paths: tuple[Path, Path], size: Size | None, labels: Collection[int], remedy: str
) -> tuple[Tensor, NDArray[np.uint8]]:
    """Read an image and its label map.

    Args:
        paths: of the image and of the label map.
        size: height and width to resize to: the image bilinearly, the label map by the
            nearest pixel. None keeps the stored size.
        labels: those that the label map may have.
        remedy: what the reader of an error message can do.

    Returns:
        The image (3, H, W) and the labels (H, W), both uint8.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file cannot be decoded, or the label map has another label or a
            size other than its image's.
    """
    image_path, mask_path = paths
    image = _decode(image_path, remedy).convert("RGB")
    mask = _decode(mask_path, remedy)
    if _shape(mask) != _shape(image):
        raise ValueError(
            f"{mask_path} has the size {_shape(mask)} (height, width), its image "
            f"{image_path} has {_shape(image)}; {remedy}"
        )
    _check_labels(mask, mask_path, labels, remedy)
    if size is not None and _shape(image) != size:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        mask = mask.resize((width, height), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1), np.array(mask)


def read_pairs(
    pairs: list[tuple[Path, Path]],
    size: Size | None,
    table: dict[int, int],
    remedy: str,
) -> tuple[Tensor, Tensor]:
    """Read images and their label maps into two tensors.

    Args:
        pairs: image file and label file of each sample; at least one.
        size: height and width to resize to: images bilinearly, label maps by the
            nearest pixel. None keeps the stored size, which has to be the same
            everywhere.
        table: from the label in a file to the label in the mask.
        remedy: what the reader of an error message can do.

    Returns:
        Images (N, 3, H, W) and masks (N, H, W), both uint8.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file cannot be decoded, or it has unknown labels or a size other
            than its partner's or, with ``size=None``, than the first image's.
    """
    lookup = np.zeros(256, np.uint8)
    lookup[list(table)] = list(table.values())
    first = pairs[0][0]
    height, width = size or _shape(_decode(first, remedy))

    def read(pair: tuple[Path, Path]) -> tuple[Tensor, Tensor]:
        image, labels = read_pair(pair, size, table, remedy)
        if labels.shape != (height, width):
            raise ValueError(
                f"{pair[0]} has the size {labels.shape} (height, width), {first} "
                f"has {(height, width)}; give size=(height, width) to resize all"
            )
        return image, torch.from_numpy(lookup[labels])

    images = torch.empty(len(pairs), 3, height, width, dtype=torch.uint8)
    masks = torch.empty(len(pairs), height, width, dtype=torch.uint8)
    for index, (image, mask) in enumerate(in_threads(read, pairs)):
        images[index] = image
        masks[index] = mask
    return images, masks


def in_threads(read: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
    """``map(read, items)``, several at once: Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, items)
