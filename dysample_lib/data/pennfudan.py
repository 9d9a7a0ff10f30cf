"""``pennfudan``: pedestrians in streets, to be found one by one.

The folder is what the archive ``PennFudanPed.zip`` unpacks to: 170 photographs in
``PNGImages``, and in ``PedMasks`` for each of them a map whose pixels hold the number
of the pedestrian that they belong to, or 0::

    PNGImages/FudanPed00001.png    PedMasks/FudanPed00001_mask.png

The first 120 are for training and the last 50 for validation, sizes as in torchvision's
tutorial on detectors, which draws them at random.

Wang, Shi, Song and Shen, "Object detection combining recognition and segmentation",
ACCV 2007.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..ops.checks import check_choice
from .base import SPLITS, DetectionSet
from .files import Size, check_size, in_threads, read_pair

CLASSES = ("background", "pedestrian")
COUNT, TRAIN_COUNT = 170, 120

_GET_IT = (
    "the folder is what https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip "
    "unpacks to, with PNGImages and PedMasks in it; name it with root=... or the "
    "environment variable DYSAMPLE_PENNFUDAN"
)


def load_pennfudan(
    split: str, *, root: Path | None = None, size: int | Size | None = None
) -> DetectionSet:
    """Load a split: 120 photographs for training, 50 for validation.

    Args:
        split: ``"train"`` or ``"val"``.
        root: the folder of ``PNGImages`` and ``PedMasks``.
        size: resize to (height, width) or to a square; whoever has no pixel left then
            is left out. None keeps the stored sizes, which differ.

    Returns:
        Images and their pedestrians, all of them counted; with ``size=None`` lists of
        images (3, H, W) and of maps (H, W), otherwise tensors.

    Raises:
        FileNotFoundError: the folder or a file is missing.
        ValueError: no folder given, another number of files than there has to be, or a
            file that :func:`~.files.read_pair` refuses.
    """
    check_choice("split", split, SPLITS)
    wanted = None if size is None else check_size(size)
    pairs = _pairs(root)
    chosen = pairs[:TRAIN_COUNT] if split == "train" else pairs[TRAIN_COUNT:]

    def read(pair: tuple[Path, Path]) -> tuple[Tensor, Tensor]:
        image, numbers = read_pair(pair, wanted, range(256), _GET_IT)
        present = np.setdiff1d(numbers, 0)
        instances = np.where(numbers > 0, 1 + np.searchsorted(present, numbers), 0)
        return image, torch.from_numpy(instances.astype(np.int16))

    images, instances = map(list, zip(*in_threads(read, chosen), strict=True))
    counts = [int(each.max()) for each in instances]
    return DetectionSet(
        "pennfudan",
        split,
        images if wanted is None else torch.stack(images),
        instances if wanted is None else torch.stack(instances),
        [torch.ones(count, dtype=torch.int64) for count in counts],
        [torch.ones(count, dtype=torch.bool) for count in counts],
        CLASSES,
    )


def _pairs(root: Path | None) -> list[tuple[Path, Path]]:
    """The files of all photographs and of their maps, in the order of their names."""
    if root is None:
        raise ValueError(f"pennfudan needs its folder, got root=None; {_GET_IT}")
    for folder in (root, root / "PNGImages", root / "PedMasks"):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; {_GET_IT}")
    images = sorted((root / "PNGImages").glob("*.png"))
    if len(images) != COUNT:
        raise ValueError(
            f"{root / 'PNGImages'} holds {len(images)} photographs (*.png) instead of "
            f"{COUNT}; {_GET_IT}"
        )
    return [(path, root / "PedMasks" / f"{path.stem}_mask.png") for path in images]
