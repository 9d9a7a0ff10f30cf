"""The fingerprint: the same for the same content, another for any other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from data_samples import numbered

from dysample_lib.data import SegmentationSet, fingerprint


def test_it_is_short_and_fixed() -> None:
    """A change of the rule makes every recorded run another one: not by accident."""
    assert fingerprint(numbered()) == "26bcf9da158022a8"


def changed(data: SegmentationSet, name: str) -> SegmentationSet:
    tensor = getattr(data, name).clone()
    tensor.view(-1)[-1] ^= 1
    return replace(data, **{name: tensor})


@pytest.mark.parametrize("name", ["images", "masks"])
def test_one_bit_shows(name: str) -> None:
    data = numbered()
    assert fingerprint(changed(data, name)) != fingerprint(data)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("other",)},
        {"classes": ("any", "more")},
        {"classes": ("anymore",)},
        {"ignore_index": 0},
    ],
)
def test_classes_and_the_ignored_label_show(change: dict[str, object]) -> None:
    data = numbered()
    changes = [data, replace(data, **change), replace(data, classes=("an", "y"))]
    assert len({fingerprint(each) for each in changes}) == 3


def test_shape_and_order_show() -> None:
    data = numbered()
    turned = replace(
        data, images=data.images.view(5, 3, 6, 4), masks=data.masks.view(5, 6, 4)
    )
    reordered = replace(data, images=data.images.flip(0), masks=data.masks.flip(0))
    first = replace(data, images=data.images[:4], masks=data.masks[:4])
    sets = [data, turned, reordered, first]
    assert len({fingerprint(each) for each in sets}) == 4


def test_what_it_is_called_and_how_it_lies_in_memory_do_not_show() -> None:
    data = numbered()
    renamed = replace(data, name="other", split="val", protagonist=2)
    images = data.images.contiguous(memory_format=torch.channels_last)
    assert fingerprint(renamed) == fingerprint(data)
    assert fingerprint(replace(data, images=images)) == fingerprint(data)
