"""Small data sets, in memory and as folders."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from dysample_lib.data import DetectionSet, HeightSet, SegmentationSet

HEIGHT, WIDTH = 4, 6


def numbered() -> SegmentationSet:
    """Five samples in which every pixel's label is its own, and its colour ten more."""
    masks = torch.arange(5 * HEIGHT * WIDTH, dtype=torch.uint8)
    masks = masks.reshape(5, HEIGHT, WIDTH)
    images = torch.stack([masks + 10, masks + 20, masks + 30], dim=1)
    return SegmentationSet("numbered", "train", images, masks, ("any",))


def numbered_heights() -> HeightSet:
    """``numbered()`` with a height of ten times the label, and land where it is odd."""
    data = numbered()
    heights, land = 10 * data.masks.float(), data.masks % 2 == 1
    return HeightSet("numbered", "train", data.images, heights, land)


def numbered_objects(*, sizes: str = "one") -> DetectionSet:
    """Four images with 0 to 3 objects, object n coloured 50 n, the second not counted.

    Objects are rectangles; no image is its own mirror image. The semantics are the
    objects' numbers. With ``sizes="several"`` the images differ in width, and there are
    no semantics.
    """
    boxes = [(0, 1, 0, 2), (2, 4, 1, 4), (1, 2, 5, 6)]  # rows and columns, from, to
    instances = torch.zeros(4, HEIGHT, WIDTH, dtype=torch.int16)
    for k in range(4):
        for number, (top, bottom, left, right) in enumerate(boxes[:k], start=1):
            instances[k, top:bottom, left:right] = number
    images = (50 * instances).byte()[:, None].repeat(1, 3, 1, 1)
    images[:, 1, 3, 0] = 255
    labels = [torch.tensor([1, 2, 1][:k], dtype=torch.int64) for k in range(4)]
    counted = [
        torch.tensor([True, False, True][:k], dtype=torch.bool) for k in range(4)
    ]
    classes = ("background", "round", "square")
    if sizes == "one":
        semantics = instances.byte()
        tensors = (images, instances, labels, counted)
        return DetectionSet(
            "numbered", "train", *tensors, classes, semantics, ("ground",)
        )
    wider = [(0, k) for k in range(4)]
    lists = [
        [F.pad(one, width) for one, width in zip(many, wider, strict=True)]
        for many in (images, instances)
    ]
    return DetectionSet("numbered", "train", *lists, labels, counted, classes)


CAMVID_SIZE = 6, 8
CAMVID_PREFIX = "/SegNet/CamVid/"


def draw_camvid(root: Path, prefix: str = CAMVID_PREFIX, count: int = 3) -> Path:
    """A folder in the SegNet tutorial's layout.

    Image k is one grey, its labels run through 0 to 11.
    """
    for split in ("train", "val"):
        lines = []
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for k in range(count):
            grey = np.full((*CAMVID_SIZE, 3), 10 * k + (split == "val"), np.uint8)
            labels = (np.arange(prod(CAMVID_SIZE)) + k) % 12
            Image.fromarray(grey).save(root / split / f"{k}.png")
            Image.fromarray(labels.reshape(CAMVID_SIZE).astype(np.uint8)).save(
                root / f"{split}annot" / f"{k}.png"
            )
            lines.append(f"{prefix}{split}/{k}.png {prefix}{split}annot/{k}.png")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root
