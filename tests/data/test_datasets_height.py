"""``height``: known places, the tiles of ``coastlines``, and the file behind it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dysample_lib.data import HeightSet, load_dataset
from dysample_lib.data.coastlines import tile_positions
from dysample_lib.data.earth import (
    IMAGERY,
    LAKE,
    LAND,
    MASK,
    NORTH,
    OCEAN,
    PIXELS_PER_DEGREE,
    SOUTH,
    load_world,
)
from dysample_lib.data.height import ALTITUDE, _resample, load_heights
from dysample_lib.data.sources import read_verified

SPLITS = ("train", "val")
COUNTS = {"train": 672, "val": 72}


@pytest.fixture(scope="module")
def sets() -> dict[str, HeightSet]:
    return {split: load_dataset("height", split) for split in SPLITS}


@pytest.mark.parametrize(
    ("place", "south", "north", "west", "east", "metres"),
    [
        ("the Amazon's basin", -5, -1, -65, -57, 54),
        ("the Sahara", 24, 26, -1, 1, 306),
        ("Denver, a mile high", 39.6, 39.9, -105, -104.7, 1609),
        ("Tibet", 30, 35, 82, 92, 5010),
        ("the Netherlands", 52, 53, 4.5, 6.5, 0),
    ],
)
def test_known_places(
    place: str, south: float, north: float, west: float, east: float, metres: float
) -> None:
    rows = slice(*(round((90 - lat) * PIXELS_PER_DEGREE) for lat in (north, south)))
    columns = slice(*(round((180 + lon) * PIXELS_PER_DEGREE) for lon in (west, east)))
    median = float(np.nanmedian(load_heights()[rows, columns]))
    assert median == pytest.approx(metres, abs=40), place


def test_heights_lie_on_the_imagery() -> None:
    """Where something is known there is land; three pixels of misplacement show."""
    known = np.isfinite(load_heights())
    rows = slice(*((90 - lat) * PIXELS_PER_DEGREE for lat in (NORTH, SOUTH)))
    dry = load_world().surface[rows] != OCEAN
    agreement = {
        (dy, dx): float((np.roll(known, (dy, dx), (0, 1))[rows] == dry).mean())
        for dy, dx in [(0, 0), (-3, 0), (3, 0), (0, -3), (0, 3)]
    }
    assert agreement[0, 0] > 0.98
    assert max(agreement, key=agreement.__getitem__) == (0, 0)


def test_resampling_is_bilinear_between_known_cells() -> None:
    """On 4 cells to 5 pixels, as from the file's 5 minutes to the imagery's 4."""
    values = 10 * np.arange(16, dtype=np.uint8).reshape(4, 4)
    places = np.array([0.0, 0.7, 1.5, 2.3, 3.0])  # of the pixels, counted in cells
    plane = 28 * 10 * (places + 4 * places[:, None]) - 450
    np.testing.assert_allclose(_resample(values), plane, atol=0.01)
    values[:, 2:] = 255
    half = _resample(values)
    assert np.isnan(half).any(0).tolist() == [False, False, False, True, True]
    # Of the two columns around the third pixel only the left one is known.
    np.testing.assert_allclose(half[:, 2], 280 * (1 + 4 * places) - 450, atol=0.01)


def test_resampling_agrees_with_torch() -> None:
    with h5py.File(io.BytesIO(read_verified(ALTITUDE))) as file:
        values = file["Altitude"][500:900, 1000:1400]
    values = np.where(values == 255, 16, values)
    theirs = F.interpolate(
        torch.from_numpy(values)[None, None].float(), (500, 500), mode="bilinear"
    )
    ours = _resample(values)
    np.testing.assert_allclose(ours, 28 * theirs[0, 0].numpy() - 450, atol=0.05)


@pytest.mark.parametrize("split", SPLITS)
def test_the_tiles_are_those_of_coastlines(
    sets: dict[str, HeightSet], split: str
) -> None:
    data, coast = sets[split], load_dataset("coastlines", split)
    assert (data.name, data.split, data.unit) == ("height", split, "m")
    assert len(data) == COUNTS[split] and data.size == (96, 96)
    assert torch.equal(data.images, coast.images)
    assert data.protagonist == coast.protagonist
    # Land is land, but for what the file does not know of it.
    assert not data.land[coast.masks == 0].any()
    assert (coast.masks.bool() & ~data.land).sum() < 0.0005 * coast.masks.sum()


@pytest.mark.parametrize("split", SPLITS)
def test_heights_are_cut_where_the_positions_say(
    sets: dict[str, HeightSet], split: str
) -> None:
    data, surface = sets[split], load_world().surface
    for index in range(0, COUNTS[split], 7):
        row, column, _, _ = tile_positions(split)[index]
        window = np.s_[row : row + 96, column : column + 96]
        heights = torch.from_numpy(load_heights()[window].copy())
        ocean, land, lake = (
            torch.from_numpy(surface[window] == kind) for kind in (OCEAN, LAND, LAKE)
        )
        assert not data.heights[index][ocean].any()
        known = ~heights.isnan() & ~ocean
        assert torch.equal(data.heights[index][known], heights[known])
        assert torch.equal(data.land[index], land & known)
        assert not data.land[index][lake].any()
        assert data.heights[index].isfinite().all()


LAND_DIGESTS = {
    "train": "e8d879421531dffceea927621410016bb37ba2955950a25f1ab9259e66f23e84",
    "val": "bb5d0ea34118698a212a3260bbc198fe511b6a52b1b764381cde15bc7a88c260",
}
HEIGHT_DIGESTS = {
    "train": "9704869a07cf28a1f6ce4d7b8336b65b658a52920ad1903266818ddff0f9fdef",
    "val": "610707b0eb89fc45a5644748c2fbecc2338812c4864106f66cfd4a5a1be90d09",
}
# Mean height of the protagonist's 6 x 6 cells of 16 pixels, Scotland's Highlands.
PROTAGONIST_HEIGHTS = (
    (11, 4, 91, 49, 0, 0),
    (41, 171, 312, 204, 75, 0),
    (6, 138, 384, 280, 54, 0),
    (36, 45, 153, 236, 198, 16),
    (105, 37, 16, 69, 284, 98),
    (122, 2, 25, 124, 130, 108),
)


@pytest.mark.parametrize("split", SPLITS)
def test_targets_are_the_same_everywhere(
    sets: dict[str, HeightSet], split: str
) -> None:
    data = sets[split]
    for tensor, digests in ((data.land, LAND_DIGESTS), (data.heights, HEIGHT_DIGESTS)):
        digest = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        assert digest == digests[split]
    if split == "val":
        cells = data.heights[data.protagonist].reshape(6, 16, 6, 16).mean((1, 3))
        assert (cells - torch.tensor(PROTAGONIST_HEIGHTS)).abs().max() <= 0.6


@pytest.mark.parametrize("split", SPLITS)
def test_range(sets: dict[str, HeightSet], split: str) -> None:
    heights = sets[split].heights[sets[split].land]
    assert heights.min() >= -450 and heights.max() < 6000
    assert 250 < heights.median() < 310


def copy_files(target: Path) -> Path:
    for source in (IMAGERY, MASK, ALTITUDE):
        (target / source.name).write_bytes(read_verified(source))
    return target


def test_files_may_lie_in_a_folder(tmp_path: Path, sets: dict[str, HeightSet]) -> None:
    again = load_dataset("height", "val", root=copy_files(tmp_path))
    assert torch.equal(again.heights, sets["val"].heights)


def test_missing_file(tmp_path: Path) -> None:
    (copy_files(tmp_path) / ALTITUDE.name).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"Altitude\.h5 is not in .*pip install 'pvlib>=0\.10'"
    ):
        load_dataset("height", "val", root=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "bytes instead of 1366196: it is truncated"),
        (lambda data: data[:-1] + b"?", "has the SHA-256 .*: it is damaged"),
        (lambda data: b"", "has 0 bytes"),
    ],
)
def test_broken_file(tmp_path: Path, damage: object, message: str) -> None:
    path = copy_files(tmp_path) / ALTITUDE.name
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match=rf"Altitude\.h5 .*{message}.*--force-rein"):
        load_dataset("height", "val", root=tmp_path)


def test_missing_package() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no package no_such_lib.*pip install 'pvlib"
    ):
        read_verified(ALTITUDE._replace(module="no_such_lib"))
