"""A spec names a run: what differs has another key, and nothing else has."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
from record_samples import SPEC

from dysample_lib.study.spec import RunSpec, parse_variant, variant_name

CHANGES: dict[str, Any] = {
    "task": "height",
    "dataset": "camvid",
    "encoder": "efficientnet_lite0",
    "decoder": "fpn",
    "upsampler": "naive",
    "seed": 4,
    "epochs": 25,
    "width": 48,
    "learning_rate": 5e-3,
    "dataset_options": {"size": 64},
    "data": "0123456789abcdef",
    "frozen": True,
    "upsampler_options": {"scope": 0.5},
    "batch_size": 8,
    "offset_rate": 4.0,
    "encoder_rate": 0.1,
    "weight_decay": 0.0,
    "flips": "h",
    "band": 3,
    "device": "cuda",
    "precision": "mixed",
}
"""Another value for each field that decides what a run gives."""


def test_every_field_but_the_budget_is_in_the_key() -> None:
    assert {f.name for f in fields(RunSpec)} == {*CHANGES, "budget"}
    keys = {SPEC.key, *(replace(SPEC, **{k: v}).key for k, v in CHANGES.items())}
    assert len(keys) == 1 + len(CHANGES)
    assert replace(SPEC, budget="quick").key == SPEC.key


def test_the_setting_is_all_but_the_upsampler_and_the_seed() -> None:
    apart = ("upsampler", "upsampler_options", "seed", "budget")
    for name, value in {**CHANGES, "budget": "quick"}.items():
        same = replace(SPEC, **{name: value}).setting == SPEC.setting
        assert same == (name in apart), name


def test_a_spec_survives_json() -> None:
    spec = replace(SPEC, **CHANGES, budget="full")
    assert RunSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec
    assert hash(spec) == hash(RunSpec.from_dict(asdict(spec)))


def test_values_are_plain_so_that_equal_runs_have_one_key() -> None:
    spec = replace(
        SPEC,
        seed=np.int64(3),
        learning_rate=np.float64(4e-3),
        offset_rate=1,
        dataset_options={"size": (180, 240)},
    )
    assert type(spec.seed) is int
    assert type(spec.learning_rate) is type(spec.offset_rate) is float
    assert spec.dataset_options == {"size": [180, 240]}
    assert spec.key == replace(SPEC, dataset_options={"size": [180, 240]}).key
    assert RunSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("task", "", ValueError),
        ("dataset", None, TypeError),
        ("upsampler", 3, TypeError),
        ("seed", -1, ValueError),
        ("seed", 2**32, ValueError),
        ("seed", True, TypeError),
        ("seed", 1.0, TypeError),
        ("epochs", 0, ValueError),
        ("epochs", 1.5, TypeError),
        ("width", 0, ValueError),
        ("batch_size", 0, ValueError),
        ("band", 0, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("learning_rate", math.nan, ValueError),
        ("learning_rate", "fast", TypeError),
        ("offset_rate", -1.0, ValueError),
        ("encoder_rate", math.inf, ValueError),
        ("weight_decay", -0.1, ValueError),
        ("weight_decay", math.nan, ValueError),
        ("weight_decay", None, TypeError),
        ("flips", "x", ValueError),
        ("precision", "half", ValueError),
        ("device", "gpu", ValueError),
        ("frozen", 1, TypeError),
        ("dataset_options", [1], TypeError),
        ("upsampler_options", {"scope": {1}}, TypeError),
    ],
)
def test_a_field_has_to_fit(field: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{field} has to be"):
        replace(SPEC, **{field: value})


@pytest.mark.parametrize("value", [0, -1.0, math.inf, True])
@pytest.mark.parametrize("field", ["learning_rate", "offset_rate", "encoder_rate"])
def test_a_rate_is_asked_for_above_zero(field: str, value: object) -> None:
    wanted = f"{field} has to be a number > 0"
    with pytest.raises((TypeError, ValueError), match=wanted):
        replace(SPEC, **{field: value})


def test_missing_and_unknown_fields_are_named() -> None:
    values = asdict(SPEC)
    del values["band"]  # has a default
    assert RunSpec.from_dict(values) == SPEC
    del values["epochs"]
    values["gpu"] = "none"
    with pytest.raises(ValueError, match="missing: epochs, unknown: gpu"):
        RunSpec.from_dict(values)
    with pytest.raises(TypeError, match="object of fields, got list"):
        RunSpec.from_dict([])  # type: ignore[arg-type]


def test_differences_are_told() -> None:
    other = replace(SPEC, seed=4, learning_rate=0.1, budget="quick")
    wanted = "seed: 4 there, 3 here, learning_rate: 0.1 there, 0.004 here"
    assert SPEC.differences(other) == wanted
    assert SPEC.differences(replace(SPEC, budget="full")) == ""


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("grouping", "grouping", {}),
        ("grouping,scope=0.5", "grouping", {"scope": 0.5}),
        ("naive,limit=tanh,groups=4", "naive", {"groups": 4, "limit": "tanh"}),
        ("mine,on=True,no=None", "mine", {"on": True, "no": None}),
    ],
)
def test_variants(text: str, name: str, options: dict[str, Any]) -> None:
    assert parse_variant(text) == (name, options)
    assert parse_variant(variant_name(name, options)) == (name, options)
    spec = replace(SPEC, upsampler=name, upsampler_options=options)
    assert parse_variant(spec.variant) == (name, options)


@pytest.mark.parametrize("text", ["a,", "a,b", "a,b=", "a,=1"])
def test_an_option_has_to_have_a_name_and_a_value(text: str) -> None:
    with pytest.raises(ValueError, match="has to be written name=value, got"):
        parse_variant(text)
