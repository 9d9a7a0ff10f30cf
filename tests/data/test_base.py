"""The kinds of data sets: batches, flips, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from data_samples import HEIGHT, WIDTH, numbered, numbered_heights, numbered_objects
from torch import Tensor

from dysample_lib.data import fingerprint
from dysample_lib.data.base import mask_edges

FLIPS = {  # over four samples, all four combinations
    -1: torch.tensor([False, True, False, True]),
    -2: torch.tensor([False, False, True, True]),
}
INDEX = torch.tensor([3, 0, 3, 4])


def by_hand(tensor: Tensor, index: Tensor, flips: dict[int, Tensor]) -> Tensor:
    """Some samples, turned row by row and column by column."""
    chosen = tensor[index].clone()
    for place in range(len(index)):
        rows, columns = list(range(HEIGHT)), list(range(WIDTH))
        if -1 in flips and flips[-1][place]:
            columns.reverse()
        if -2 in flips and flips[-2][place]:
            rows.reverse()
        chosen[place] = chosen[place][..., rows, :][..., columns]
    return chosen


@pytest.mark.parametrize("axes", [(), (-1,), (-2,), (-1, -2), (-2, -1)])
def test_a_batch_is_chosen_and_flipped(axes: tuple[int, ...]) -> None:
    data, flips = numbered(), {axis: FLIPS[axis] for axis in axes}
    images, masks = data.batch(INDEX, flips)
    assert torch.equal(images, by_hand(data.images, INDEX, flips))
    assert torch.equal(masks, by_hand(data.masks, INDEX, flips))
    assert images.dtype == masks.dtype == torch.uint8


def draws(count: int) -> Iterator[tuple[Tensor, dict[int, Tensor]]]:
    """Twenty batches of seven of ``count`` samples, flipped by chance."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        index = torch.randint(0, count, (7,), generator=generator)
        yield (
            index,
            {axis: torch.rand(7, generator=generator) < 0.5 for axis in (-1, -2)},
        )


def test_masks_are_flipped_with_their_images() -> None:
    data = numbered()
    for index, flips in draws(len(data)):
        images, masks = data.batch(index, flips)
        assert torch.equal(images[:, 0], masks + 10)


def test_heights_are_flipped_with_their_images_and_count_on_land_alone() -> None:
    data = numbered_heights()
    for index, flips in draws(len(data)):
        images, heights = data.batch(index, flips)
        assert torch.equal(images, by_hand(data.images, index, flips))
        labels = images[:, 0].float() - 10
        assert torch.equal(heights.isnan(), labels % 2 == 0)
        assert torch.equal(
            heights.nan_to_num(), torch.where(labels % 2 == 1, 10 * labels, 0)
        )
    image, heights = data[2]
    assert torch.equal(image, data.images[2])
    assert torch.equal(heights.isfinite(), data.land[2])


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("sizes", ["one", "several"])
def test_boxes_and_masks_are_flipped_with_their_images(
    sizes: str, everything: bool
) -> None:
    data = numbered_objects(sizes=sizes)
    for index, flips in draws(len(data)):
        images, targets = data.batch(index, flips, everything=everything)
        assert isinstance(images, Tensor) == (sizes == "one")
        for k, image, target in zip(index.tolist(), images, targets, strict=True):
            numbers = [n for n in range(1, k + 1) if everything or n != 2]
            assert target["labels"].tolist() == [[1, 2, 1][n - 1] for n in numbers]
            assert target["iscrowd"].tolist() == [int(n == 2) for n in numbers]
            assert target["boxes"].shape == (len(numbers), 4)
            assert target["masks"].shape == (len(numbers), *image.shape[1:])
            for n, mask, box in zip(
                numbers, target["masks"], target["boxes"], strict=True
            ):
                assert torch.equal(mask.bool(), image[0] == 50 * n)
                left, top, right, bottom = box.int().tolist()
                inside = torch.zeros_like(mask)
                inside[top:bottom, left:right] = 1
                assert torch.equal(mask, inside)  # the objects are rectangles
            if sizes == "one":
                assert torch.equal(50 * target["semantics"], image[0])
            else:
                assert "semantics" not in target


@pytest.mark.parametrize("sizes", ["one", "several"])
def test_objects_are_flipped_at_all(sizes: str) -> None:
    """The images are no mirror images of themselves, so a flip is seen in each."""
    data = numbered_objects(sizes=sizes)
    index, yes = torch.tensor([3]), torch.tensor([True])
    (plain,), _ = data.batch(index)
    for axes in [(-1,), (-2,), (-1, -2)]:
        (image,), _ = data.batch(index, dict.fromkeys(axes, yes))
        assert torch.equal(image, plain.flip(axes))
        assert not torch.equal(image, plain)


def test_samples_of_a_detection_set() -> None:
    data = numbered_objects()
    image, target = data[3]
    assert torch.equal(image, data.images[3])
    assert target["boxes"].tolist() == [[0, 0, 2, 1], [5, 1, 6, 2]]
    assert numbered_objects(sizes="several").size == (HEIGHT, WIDTH + 3)


def test_edges_of_masks() -> None:
    """Against the pixels' indices; COCO counts edges, so one pixel is 1 wide."""
    masks = torch.rand(20, 7, 9, generator=torch.Generator().manual_seed(0)) < 0.05
    masks[0] = False
    masks[0, 3, 5] = True
    masks = masks[masks.flatten(1).any(1)]
    assert len(masks) > 10
    for mask, box in zip(masks, mask_edges(masks), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == [int(edge) for edge in edges]
    assert mask_edges(masks[:1]).tolist() == [[5, 3, 6, 4]]
    assert mask_edges(masks[:0]).shape == (0, 4)


def test_a_batch_is_not_the_set_itself() -> None:
    data = numbered()
    images, masks = data.batch(INDEX)
    images.zero_()
    masks.zero_()
    assert torch.equal(data.images, numbered().images)
    assert torch.equal(data.masks, numbered().masks)


@pytest.mark.parametrize(
    ("index", "flips", "error", "message"),
    [
        ([0.0, 1.0], {}, TypeError, r"index has to be int64 .* got torch\.float32"),
        ([[0, 1]], {}, TypeError, r"index has to be int64 .*\(1, 2\)"),
        ([0, 5], {}, ValueError, r"index has to be in 0 … 4, got \[0, 5\]"),
        ([0, -1], {}, ValueError, r"index has to be in 0 … 4"),
        ([0, 1], {1: [True, True]}, ValueError, r"axes -1 and -2 alone, got 1"),
        ([0, 1], {-1: [1, 0]}, TypeError, r"flips\[-1\] has to be bool .*int64"),
        ([0, 1], {-2: [True]}, TypeError, r"flips\[-2\] .* \(2,\), got .*\(1,\)"),
    ],
)
def test_what_batch_refuses(
    index: list[int], flips: dict[int, list[bool]], error: type, message: str
) -> None:
    tensors = {axis: torch.tensor(chosen) for axis, chosen in flips.items()}
    with pytest.raises(error, match=message):
        numbered().batch(torch.tensor(index), tensors)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(TypeError, match="at least 1"):
        numbered().batch(torch.tensor([], dtype=torch.int64))


def test_a_set_refuses_what_is_not_uint8_or_does_not_fit() -> None:
    data = numbered()
    with pytest.raises(ValueError, match=r"images has to be torch\.uint8 .*\.int64"):
        replace(data, images=data.images.long())
    with pytest.raises(
        ValueError, match=r"images .*\(5, 3, 4, 6\), got .*\(5, 1, 4, 6\)"
    ):
        replace(data, images=data.images[:, :1])
    with pytest.raises(ValueError, match=r"masks .* torch\.uint8 .*torch\.int64"):
        replace(data, masks=data.masks.long())
    with pytest.raises(ValueError, match=r"masks .*\(5, 4, 6\), got .*\(5, 6, 4\)"):
        replace(data, masks=data.masks.mT)


def test_a_height_set_refuses_what_does_not_fit() -> None:
    data = numbered_heights()
    with pytest.raises(ValueError, match=r"heights .*float32 .*float64"):
        replace(data, heights=data.heights.double())
    with pytest.raises(ValueError, match=r"land .*torch\.bool .*uint8"):
        replace(data, land=data.land.byte())
    with pytest.raises(ValueError, match=r"land .*\(5, 4, 6\), got .*\(4, 4, 6\)"):
        replace(data, land=data.land[:4])


def changed(items: list[Tensor], tensor: Tensor) -> list[Tensor]:
    """``items`` with another third item."""
    return [*items[:2], tensor, *items[3:]]


def test_a_detection_set_refuses_what_does_not_fit() -> None:
    data = numbered_objects()
    gap = data.instances.clone()
    gap[3][gap[3] == 2] = 0
    wrong: list[tuple[str, object, str]] = [
        ("labels", data.labels[:3], r"labels has to have an entry for each of 4"),
        ("instances", data.instances.int(), r"instances\[0\] .*int16 .*int32"),
        ("instances", data.instances[:, 1:], r"instances\[0\] .*\(4, 6\).*\(3, 6\)"),
        ("instances", gap, r"instances\[3\] has to number 3 objects.*\[0, 1, 3\]"),
        (
            "labels",
            changed(data.labels, torch.tensor([1])),
            r"counted\[2\] .*\(1,\), got .*\(2,\)",
        ),
        (
            "labels",
            changed(data.labels, torch.tensor([1.0, 2])),
            r"labels\[2\] .*int64",
        ),
        ("semantics", data.semantics[:, :, 1:], r"semantics .*\(4, 4, 6\)"),
        ("images", data.images.float(), r"images\[0\] .*uint8 .*float32"),
    ]
    for name, value, message in wrong:
        with pytest.raises(ValueError, match=message):
            replace(data, **{name: value})


def test_to_a_device_moves_all_tensors() -> None:
    data = numbered()
    moved = data.to("meta")
    assert moved.images.device.type == moved.masks.device.type == "meta"
    assert (moved.name, moved.classes) == ("numbered", ("any",))
    heights = numbered_heights().to("meta")
    assert heights.heights.device.type == heights.land.device.type == "meta"
    for sizes in ("one", "several"):
        objects = numbered_objects(sizes=sizes)
        same = objects.to("cpu")
        assert same is not objects and fingerprint(same) == fingerprint(objects)
