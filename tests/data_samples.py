"""Small data sets, in memory and as folders."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dysample_lib.data import SegmentationSet

HEIGHT, WIDTH = 4, 6


def numbered() -> SegmentationSet:
    """Five samples in which every pixel's label is its own, and its colour ten more."""
    masks = torch.arange(5 * HEIGHT * WIDTH, dtype=torch.uint8)
    masks = masks.reshape(5, HEIGHT, WIDTH)
    images = torch.stack([masks + 10, masks + 20, masks + 30], dim=1)
    return SegmentationSet("numbered", "train", images, masks, ("any",))


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
