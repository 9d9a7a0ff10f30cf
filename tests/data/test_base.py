"""The kinds of data sets: batches, flips, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from data_samples import HEIGHT, WIDTH, numbered
from torch import Tensor

FLIPS = {  # over four samples, all four combinations
    -1: torch.tensor([False, True, False, True]),
    -2: torch.tensor([False, False, True, True]),
}
INDEX = torch.tensor([3, 0, 3, 4])


def by_hand(tensor: Tensor, flips: dict[int, Tensor]) -> Tensor:
    """The samples of INDEX, turned row by row and column by column."""
    chosen = tensor[INDEX].clone()
    for place in range(len(INDEX)):
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
    assert torch.equal(images, by_hand(data.images, flips))
    assert torch.equal(masks, by_hand(data.masks, flips))
    assert images.dtype == masks.dtype == torch.uint8


def test_masks_are_flipped_with_their_images() -> None:
    data = numbered()
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        index = torch.randint(0, len(data), (7,), generator=generator)
        flips = {axis: torch.rand(7, generator=generator) < 0.5 for axis in (-1, -2)}
        images, masks = data.batch(index, flips)
        assert torch.equal(images[:, 0], masks + 10)


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
    with pytest.raises(ValueError, match=r"images have to be uint8 .*torch\.int64"):
        replace(data, images=data.images.long())
    with pytest.raises(
        ValueError, match=r"images .*\(N, 3, H, W\), got .*\(5, 1, 4, 6"
    ):
        replace(data, images=data.images[:, :1])
    with pytest.raises(ValueError, match=r"masks .* torch\.uint8 .*torch\.int64"):
        replace(data, masks=data.masks.long())
    with pytest.raises(ValueError, match=r"masks .*\(5, 4, 6\), got .*\(5, 6, 4\)"):
        replace(data, masks=data.masks.mT)


def test_to_a_device_moves_images_and_masks() -> None:
    moved = numbered().to("meta")
    assert moved.images.device.type == moved.masks.device.type == "meta"
    assert (moved.name, moved.classes) == ("numbered", ("any",))
