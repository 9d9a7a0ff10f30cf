"""The fingerprint: the same for the same content, another for any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from _repository import ROOT
from data_samples import numbered, numbered_heights, numbered_objects

from dysample_lib.data import (
    SPLITS,
    DataSet,
    SegmentationSet,
    fingerprint,
    load_dataset,
)


def test_it_is_short_and_stays() -> None:
    """Records have fingerprints: a change of the rule would make them other runs'."""
    assert fingerprint(numbered()) == "154aa13f90590ad4"


def test_recorded_runs_are_of_this_data() -> None:
    lines = (ROOT / "results" / "probe.jsonl").read_text().splitlines()
    specs = [json.loads(line)["spec"] for line in lines]
    ours = [spec for spec in specs if spec["dataset"] == "coastlines"]
    expected = "-".join(fingerprint(load_dataset("coastlines", s)) for s in SPLITS)
    assert {spec["data"] for spec in ours} == {expected}


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


def test_a_checksum_stands_for_the_images() -> None:
    """Decoders differ between machines; the files that they decode do not."""
    data = replace(numbered(), checksum="of the file")
    elsewhere = changed(data, "images")
    assert fingerprint(elsewhere) == fingerprint(data)
    assert fingerprint(elsewhere, decoded=True) != fingerprint(data, decoded=True)
    assert fingerprint(changed(data, "masks")) != fingerprint(data)
    assert fingerprint(replace(data, checksum="of another")) != fingerprint(data)


@pytest.mark.parametrize("make", [numbered_heights, numbered_objects])
def test_other_kinds_of_sets(make: Callable[[], DataSet]) -> None:
    data = make()
    assert fingerprint(make()) == fingerprint(data)
    names = {"heights", "land", "semantics"} & {field.name for field in fields(data)}
    for name in names:
        tensor = getattr(data, name).clone()
        tensor[0, 0, 0] = not tensor[0, 0, 0]
        assert fingerprint(replace(data, **{name: tensor})) != fingerprint(data)


def test_every_entry_of_a_list_shows() -> None:
    data = numbered_objects()
    for name, entry in (("labels", 2), ("counted", False)):
        value = [tensor.clone() for tensor in getattr(data, name)]
        value[3][0] = entry
        assert fingerprint(replace(data, **{name: value})) != fingerprint(data)
    instances = data.instances.clone()
    instances[3][instances[3] > 1] = 5 - instances[3][instances[3] > 1]
    assert fingerprint(replace(data, instances=instances)) != fingerprint(data)


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
