"""``coastlines``: the same tensors everywhere, disjoint splits, geography."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from PIL import features
from torch import Tensor

from dysample_lib.data import SegmentationSet, load_dataset
from dysample_lib.data.coastlines import (
    MINORITY_SHARE,
    PROTAGONIST,
    TILE,
    TRAIN_BANDS,
    VAL_BANDS,
    tile_positions,
)
from dysample_lib.data.earth import (
    BAND_DEGREES,
    HEIGHT,
    LAKE,
    LAND,
    NORTH,
    OCEAN,
    PIXELS_PER_DEGREE,
    SOUTH,
    WIDTH,
    load_world,
)

SPLITS = ("train", "val")
BANDS = {"train": TRAIN_BANDS, "val": VAL_BANDS}
Sets = dict[str, SegmentationSet]
COUNTS = {"train": 672, "val": 72}


def digest(array: Tensor) -> str:
    return hashlib.sha256(array.contiguous().numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def sets() -> Sets:
    return {split: load_dataset("coastlines", split) for split in SPLITS}


# --- The same tensors on every machine ------------------------------------------

MASK_DIGESTS = {
    ("train", False): (
        "26072dac6f4cb39785c54b17c46c84ed25da8bbcebdec62bb05350c3e0712080"
    ),
    ("train", True): "823251e66d4e38efce6a679b12898537d1c2ad4f42af99349e27bd50fab9b895",
    ("val", False): "f4992a104f1144877b9442ce9d53defd3e295c2ecf2f013d5a2768e0fe799c5b",
    ("val", True): "473f454b9ec40da7a6d764d292d47943b822ab59c013a28461e74dc27165d5dc",
}
POSITION_DIGESTS = {
    "train": "e27bf465d8a9357bf08121b3849cb4e6202878b5a5ce94c6b9cd405ff3f244d6",
    "val": "8074121b2dadd62fef1cd981888e896280daa2bb9a954933d33909072e9aa526",
}
IMAGE_DIGESTS = {  # as decoded by this version of libjpeg-turbo
    "train": "324e72479d973fdccd7456671f21e0516c2d587c97992784ecf47a1218b9f22b",
    "val": "36268fe1f27afc1978a90d8a5e9088e3eb6d5890d6a8f6630cf7fafe40f44271",
}
DECODER = "3.2.0"
CHANNEL_MEANS = {
    "train": (51.8869, 66.2473, 74.3317),
    "val": (54.2279, 68.1717, 78.1562),
}
# Mean blue of the protagonist's 6 x 6 cells of 16 pixels.
PROTAGONIST_BLUE = (
    (111, 122, 84, 80, 123, 127),
    (88, 59, 21, 60, 72, 125),
    (117, 47, 19, 23, 87, 128),
    (91, 90, 37, 21, 28, 105),
    (19, 89, 103, 71, 19, 34),
    (24, 121, 101, 62, 23, 26),
)


@pytest.mark.parametrize(("split", "lakes"), MASK_DIGESTS)
def test_masks_are_the_same_everywhere(split: str, lakes: bool) -> None:
    masks = load_dataset("coastlines", split, lakes=lakes).masks
    assert digest(masks) == MASK_DIGESTS[split, lakes]


@pytest.mark.parametrize("split", SPLITS)
def test_positions_are_the_same_everywhere(split: str) -> None:
    corners = repr([(p.row, p.column) for p in tile_positions(split)])
    assert hashlib.sha256(corners.encode()).hexdigest() == POSITION_DIGESTS[split]


@pytest.mark.skipif(
    features.version("libjpeg_turbo") != DECODER,
    reason=f"the images' checksums hold for libjpeg-turbo {DECODER}",
)
@pytest.mark.parametrize("split", SPLITS)
def test_images_are_the_same_to_the_bit(sets: Sets, split: str) -> None:
    assert digest(sets[split].images) == IMAGE_DIGESTS[split]


def test_images_are_the_same_everywhere(sets: Sets) -> None:
    """The JPEG's bytes are verified; how they are decoded may differ a little.

    Decoders round the inverse cosine transform and enlarge the colour planes in
    slightly different ways, by a few levels in a pixel and hardly on average. So means
    have to agree: of a split within half a level, of a 16 x 16 cell within two.
    """
    for split in SPLITS:
        means = sets[split].images.double().mean((0, 2, 3))
        assert means.tolist() == pytest.approx(CHANNEL_MEANS[split], abs=0.5)
    blue = sets["val"].images[PROTAGONIST, 2].double()
    cells = blue.reshape(6, 16, 6, 16).mean((1, 3))
    expected = torch.tensor(PROTAGONIST_BLUE, dtype=torch.float64)
    assert (cells - expected).abs().max() <= 2


def test_a_caller_may_change_its_tensors(sets: Sets) -> None:
    spoilt = load_dataset("coastlines", "val")
    spoilt.images.zero_()
    spoilt.masks.fill_(7)
    again = load_dataset("coastlines", "val")
    assert torch.equal(again.images, sets["val"].images)
    assert torch.equal(again.masks, sets["val"].masks)


# --- What is in a tile ------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_shapes_types_and_classes(sets: Sets, split: str) -> None:
    dataset = sets[split]
    count = COUNTS[split]
    assert (dataset.name, dataset.split) == ("coastlines", split)
    assert dataset.images.shape == (count, 3, TILE, TILE)
    assert dataset.masks.shape == (count, TILE, TILE)
    assert dataset.images.dtype == dataset.masks.dtype == torch.uint8
    assert dataset.classes == ("water", "land")
    assert dataset.masks.unique().tolist() == [0, 1]


@pytest.mark.parametrize("split", SPLITS)
def test_both_classes_in_every_tile(sets: Sets, split: str) -> None:
    land = sets[split].masks.double().mean((1, 2))
    assert torch.minimum(land, 1 - land).min() >= MINORITY_SHARE


def test_shares_of_ocean_land_and_lake() -> None:
    masks = load_dataset("coastlines", "train", lakes=True).masks
    shares = torch.bincount(masks.flatten(), minlength=3) / masks.numel()
    assert shares.tolist() == pytest.approx([0.479, 0.507, 0.014], abs=0.001)


@pytest.mark.parametrize("split", SPLITS)
def test_lakes_are_water_by_default(sets: Sets, split: str) -> None:
    three = load_dataset("coastlines", split, lakes=True)
    assert three.classes == ("water", "land", "lake")
    assert (three.masks == LAKE).any()
    merged = torch.where(three.masks == LAKE, OCEAN, three.masks)
    assert torch.equal(merged, sets[split].masks)
    assert torch.equal(three.images, sets[split].images)


# --- The split ----------------------------------------------------------------------


def test_bands_divide_the_world() -> None:
    bands = sorted((*TRAIN_BANDS, *VAL_BANDS))
    assert [west for west, _ in bands] == list(range(-180, 180, BAND_DEGREES))
    assert all(east - west == BAND_DEGREES for west, east in bands)
    assert not set(TRAIN_BANDS) & set(VAL_BANDS)
    assert len(VAL_BANDS) == 4


@pytest.mark.parametrize("split", SPLITS)
def test_every_tile_lies_in_one_of_its_bands(split: str) -> None:
    half = TILE / 2 / PIXELS_PER_DEGREE
    used = set()
    for tile in tile_positions(split):
        inside = [
            (west, east)
            for west, east in BANDS[split]
            if west <= tile.longitude - half + 1e-6
            and tile.longitude + half <= east + 1e-6
        ]
        assert len(inside) == 1
        used.update(inside)
        assert tile.latitude - half + 1e-6 >= SOUTH
        assert tile.latitude + half <= NORTH + 1e-6
    assert used == set(BANDS[split])  # no band is without tiles


def test_no_pixel_is_in_both_splits() -> None:
    covered = {split: np.zeros((HEIGHT, WIDTH), np.uint8) for split in SPLITS}
    for split in SPLITS:
        for row, column, _, _ in tile_positions(split):
            covered[split][row : row + TILE, column : column + TILE] += 1
    assert not (covered["train"].astype(bool) & covered["val"].astype(bool)).any()
    # No column of the map either: the splits are disjoint in longitude.
    columns = [covered[split].any(axis=0) for split in SPLITS]
    assert not (columns[0] & columns[1]).any()
    # A validation pixel is scored once; training tiles overlap by half.
    assert covered["val"].max() == 1
    assert covered["train"].max() == 4


@pytest.mark.parametrize("split", SPLITS)
def test_tiles_are_cut_where_their_positions_say(sets: Sets, split: str) -> None:
    imagery, surface = load_world()
    for index in range(0, COUNTS[split], 7):
        row, column, latitude, longitude = tile_positions(split)[index]
        window = np.s_[row : row + TILE, column : column + TILE]
        image, mask = sets[split][index]
        assert np.array_equal(image.permute(1, 2, 0).numpy(), imagery[window])
        assert np.array_equal(mask.numpy(), surface[window] == LAND)
        assert latitude == pytest.approx(90 - (row + 48) / 15, abs=1e-6)
        assert longitude == pytest.approx((column + 48) / 15 - 180, abs=1e-6)
