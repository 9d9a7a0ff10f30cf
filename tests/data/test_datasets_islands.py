"""``islands``: the rule, told again in other words, and its counts."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy import ndimage

from dysample_lib.data import DetectionSet, load_dataset
from dysample_lib.data.earth import (
    BANDS,
    IMAGERY,
    LAKE,
    LAND,
    OCEAN,
    PIXELS_PER_DEGREE,
    load_world,
)
from dysample_lib.data.islands import (
    PROTAGONIST,
    PROTAGONIST_PLACE,
    STRIDE,
    TILE,
    TRAIN_BANDS,
    VAL_BANDS,
    load_objects,
    tile_positions,
)

SPLITS = ("train", "val")
KINDS = {1: LAND, 2: LAKE}
Sets = dict[str, DetectionSet]


@pytest.fixture(scope="module")
def sets() -> Sets:
    return {split: load_dataset("islands", split) for split in SPLITS}


DIGESTS = {
    "train": "0db3f8aaba58915b8d50eb03426420ac860af506d7056b72a8c7cd9065ffd18e",
    "val": "0844ab6273d45781e099b531f9941dd241b64d41d9bbbbf3c14cb24579f5a242",
}


@pytest.mark.parametrize("split", SPLITS)
def test_targets_are_the_same_everywhere(sets: Sets, split: str) -> None:
    data = sets[split]
    digest = hashlib.sha256()
    for tensor in (data.instances, data.semantics, *data.labels, *data.counted):
        digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == DIGESTS[split]


def counted_labels(data: DetectionSet) -> list[int]:
    pairs = zip(data.labels, data.counted, strict=True)
    return torch.cat([labels[counted] for labels, counted in pairs]).bincount().tolist()


def test_counts(sets: Sets) -> None:
    assert {split: len(data) for split, data in sets.items()} == {
        "train": 145,
        "val": 103,
    }
    for split, data in sets.items():
        assert (data.name, data.split, data.size) == ("islands", split, (192, 192))
    assert sets["train"].classes == ("background", "island", "lake")
    assert sets["train"].stuff == ("ocean", "land")
    assert counted_labels(sets["train"]) == [0, 465, 787]
    assert counted_labels(sets["val"]) == [0, 165, 159]


def all_positions(bands: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Row and column of every tile, chosen or not: 72° N to 56° S at half overlap."""
    return [
        (18 * 15 + 96 * down, (180 + west) * 15 + 96 * across)
        for west, _ in bands
        for across in range(2)
        for down in range(19)
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_a_tile_counts_what_lies_inside(sets: Sets, split: str) -> None:
    """Label each tile by itself: what does not touch its border is whole.

    Training tiles count all of that from 6 pixels on, and the tiles that were not
    chosen hold none from 12 on. Validation tiles count each object from 12 pixels on
    once, where it lies most centrally.
    """
    data, surface = sets[split], load_world().surface
    chosen = {(p.row, p.column): k for k, p in enumerate(tile_positions(split))}
    views: dict[tuple[int, ...], list[tuple[float, bool]]] = defaultdict(list)
    total = {1: 0, 2: 0}
    for row, column in all_positions(VAL_BANDS if split == "val" else TRAIN_BANDS):
        tile = surface[row : row + TILE, column : column + TILE]
        k = chosen.get((row, column))
        smallest = 6 if split == "train" and k is not None else 12
        for label, kind in KINDS.items():
            pieces, _ = ndimage.label(tile == kind)
            border = np.concatenate(
                [pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()]
            )
            for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
                mask = pieces == piece
                if piece in border or mask[rows, columns].sum() < smallest:
                    continue
                total[label] += 1
                counted = False
                if k is not None:
                    numbers = data.instances[k][torch.from_numpy(mask)].unique()
                    assert len(numbers) == 1 and numbers > 0
                    number = int(numbers) - 1
                    assert (data.instances[k] == numbers).sum() == mask.sum()
                    assert data.labels[k][number] == label
                    counted = bool(data.counted[k][number])
                off_centre = max(
                    abs((rows.start + rows.stop - TILE) / 2),
                    abs((columns.start + columns.stop - TILE) / 2),
                )
                where = (
                    row + rows.start,
                    column + columns.start,
                    rows.stop - rows.start,
                )
                views.setdefault((label, *where), []).append((off_centre, counted))
    if split == "train":
        assert total == {1: 465, 2: 787}
        assert all(counted for seen in views.values() for _, counted in seen)
    else:
        assert total == {1: 375, 2: 385}
        for seen in views.values():
            nearest = min(distance for distance, _ in seen)
            assert [distance for distance, counted in seen if counted] == [nearest]
        assert len(views) == 165 + 159
    assert sum(counted_labels(data)) == sum(
        counted for seen in views.values() for _, counted in seen
    )


@pytest.mark.parametrize(
    ("split", "expected"), [("train", [6, 12, 66]), ("val", [12, 25, 150])]
)
def test_areas(sets: Sets, split: str, expected: list[int]) -> None:
    """The smallest, the median, and what one in ten exceeds."""
    data = sets[split]
    areas = [
        target["masks"].sum((1, 2)) for target in data.batch(torch.arange(len(data)))[1]
    ]
    quantiles = torch.cat(areas).double().quantile(torch.tensor([0, 0.5, 0.9]).double())
    assert quantiles.round().tolist() == expected


@pytest.mark.parametrize("split", SPLITS)
def test_semantics_and_what_is_ignored(sets: Sets, split: str) -> None:
    """Ocean, land, islands and lakes; an object that is not counted is ignored."""
    data, world = sets[split], load_world()
    numbers = load_objects().numbers
    for k, (row, column, _, _) in enumerate(tile_positions(split)):
        window = np.s_[row : row + TILE, column : column + TILE]
        surface = torch.from_numpy(world.surface[window].copy())
        image, target = data[k]
        assert np.array_equal(image.permute(1, 2, 0).numpy(), world.imagery[window])
        expected = torch.where(surface == OCEAN, 0, 255)
        expected[(surface == LAND) & (data.instances[k] == 0)] = 1
        for label, mask in zip(target["labels"], target["masks"], strict=True):
            expected[mask.bool()] = 1 + label
        assert torch.equal(target["semantics"].int(), expected.int())
        objects = torch.from_numpy(numbers[window] > 0)
        assert torch.equal(data.instances[k] > 0, objects)
        labels = torch.cat([torch.tensor([0]), data.labels[k]])
        kinds = labels[data.instances[k].long()]
        assert torch.equal(kinds[objects] == 1, surface[objects] == LAND)
        assert torch.equal(kinds[objects] == 2, surface[objects] == LAKE)


def test_continents_and_the_largest_islands_are_none() -> None:
    """Their pixels are land, and no object's: they do not fit into a tile."""
    numbers = load_objects().numbers

    def number_at(latitude: float, longitude: float) -> int:
        return int(
            numbers[
                int((90 - latitude) * PIXELS_PER_DEGREE),
                int((180 + longitude) * PIXELS_PER_DEGREE),
            ]
        )

    for place in [(50, 10), (40, -100), (-25, 135), (-20, 46.5), (-6, 142)]:
        assert number_at(*place) == 0
    objects = load_objects()
    for place, label in [
        ((54, -2), 1),
        ((40, 9), 1),
        ((47.5, -87.5), 2),
        ((18, -76.9), 1),
    ]:
        assert objects.labels[number_at(*place) - 1] == label
    assert (objects.boxes[:, 2:] - objects.boxes[:, :2]).max() <= TILE - 2


def test_splits_are_disjoint_in_longitude(sets: Sets) -> None:
    assert sorted((*TRAIN_BANDS, *VAL_BANDS)) == sorted(BANDS)
    assert [band in TRAIN_BANDS for band in BANDS] == [True, False] * 9
    columns = {
        split: {p.column + k for p in tile_positions(split) for k in range(TILE)}
        for split in SPLITS
    }
    assert not columns["train"] & columns["val"]
    for split, bands in (("train", TRAIN_BANDS), ("val", VAL_BANDS)):
        for tile in tile_positions(split):
            inside = [
                west * 15 <= tile.column - 2700
                and tile.column + TILE - 2700 <= east * 15
                for west, east in bands
            ]
            assert sum(inside) == 1
            assert tile.row % STRIDE == 270 % STRIDE


def test_the_protagonist_is_scandinavia(sets: Sets) -> None:
    data, tile = sets["val"], tile_positions("val")[PROTAGONIST]
    assert data.protagonist == PROTAGONIST
    assert (tile.latitude, tile.longitude) == (59.2, 12.8)
    assert "Scandinavia" in PROTAGONIST_PLACE and "59° N, 13° E" in PROTAGONIST_PLACE
    _, target = data[PROTAGONIST]
    assert target["labels"].bincount().tolist() == [0, 2, 5]
    # Öland, Gotland; Vänern and Vättern among the lakes. (latitude, longitude)
    for label, latitude, longitude in [
        (1, 56.7, 16.6),
        (1, 57.5, 18.5),
        (2, 58.9, 13.3),
        (2, 58.3, 14.5),
    ]:
        row = int((90 - latitude) * PIXELS_PER_DEGREE) - tile.row
        column = int((180 + longitude) * PIXELS_PER_DEGREE) - tile.column
        hit = target["masks"][:, row, column].bool()
        assert target["labels"][hit].tolist() == [label]


def test_a_missing_file_is_named(tmp_path: object) -> None:
    with pytest.raises(FileNotFoundError, match=f"{IMAGERY.name}.*pip install 'basem"):
        load_dataset("islands", "val", root=tmp_path)  # type: ignore[arg-type]


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="split"):
        tile_positions("test")
