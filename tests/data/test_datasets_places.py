"""Geography of ``coastlines``: known places, the protagonist, looking up a tile."""

from __future__ import annotations

import pytest

from dysample_lib.data import load_dataset
from dysample_lib.data.coastlines import (
    PROTAGONIST,
    PROTAGONIST_PLACE,
    tile_at,
    tile_positions,
)
from dysample_lib.data.earth import PIXELS_PER_DEGREE


def label_at(latitude: float, longitude: float) -> int:
    """The label of a point, looked up in its validation tile."""
    index = tile_at(latitude, longitude)
    tile = tile_positions("val")[index]
    row = int((90 - latitude) * PIXELS_PER_DEGREE) - tile.row
    column = int((longitude + 180) * PIXELS_PER_DEGREE) - tile.column
    return int(load_dataset("coastlines", "val").masks[index, row, column])


@pytest.mark.parametrize(
    ("latitude", "longitude", "label"),
    [
        (57.2, -4.0, 1),  # the Cairngorms
        (55.3, -3.2, 1),  # the Southern Uplands
        (57.9, -3.3, 0),  # the Moray Firth
        (53.7, -4.8, 0),  # the Irish Sea
        (54.63, -6.42, 0),  # Lough Neagh, a lake
        (-20.0, 46.5, 1),  # Madagascar
        (-32.5, 117.5, 1),  # Western Australia
        (27.5, 51.0, 0),  # the Persian Gulf
    ],
)
def test_known_places(latitude: float, longitude: float, label: int) -> None:
    assert label_at(latitude, longitude) == label


def test_the_protagonist_is_scotland() -> None:
    tile = tile_positions("val")[PROTAGONIST]
    assert (tile.latitude, tile.longitude) == (56.0, -4.0)
    assert "Scotland" in PROTAGONIST_PLACE and "56° N, 4° W" in PROTAGONIST_PLACE
    assert tile_at(57.2, -4.0) == PROTAGONIST
    val = load_dataset("coastlines", "val")
    mask = val.masks[PROTAGONIST].double()
    assert 0.45 < mask.mean() < 0.55
    # Nearly every cell of the stride-16 map holds both classes.
    cells = mask.reshape(6, 16, 6, 16).mean((1, 3))
    assert ((cells > 0) & (cells < 1)).sum() >= 30
    # Land and sea differ in colour: in blue, by more than 60 of 255.
    blue = val.images[PROTAGONIST, 2].double()
    assert blue[mask == 0].mean() - blue[mask == 1].mean() > 60


def test_tile_at_takes_the_most_central_of_overlapping_tiles() -> None:
    positions = tile_positions("train")
    for index in (0, 100, 671):
        tile = positions[index]
        assert tile_at(tile.latitude, tile.longitude, "train") == index


def test_tile_at_refuses_a_point_without_tile() -> None:
    with pytest.raises(
        ValueError, match=r"coastlines/val holds latitude=0, longitude=9"
    ):
        tile_at(0, 9)
    with pytest.raises(ValueError, match="split"):
        tile_at(56, -4, "test")
