"""The table of the ladder says what the records say, and refuses to mix them."""

from __future__ import annotations

import math

import pytest
from record_samples import runs

from dysample_lib.study.records import recorded_runs
from dysample_lib.study.tables import (
    difference,
    ladder_table,
    paired_differences,
    scores,
)
from dysample_lib.upsamplers import LADDER, PREDECESSORS

SOME = [
    *runs("naive", {0: 0.59, 1: 0.68, 2: 0.77}, upsampler_parameters=1_000),
    *runs("nearest", {0: 0.30, 1: 0.30, 2: 0.30}, upsampler_parameters=0),
    *runs("bilinear", {0: 0.58, 1: 0.66, 2: 0.74}, upsampler_parameters=0),
]


def test_ladder_table() -> None:
    order = ("nearest", "bilinear", "naive", "initial_offsets")
    table = ladder_table(SOME, order)
    assert list(table.index) == ["nearest", "bilinear", "naive", "+ initial offsets"]
    assert list(table["parameters"]) == ["0", "0", "1,000", "–"]
    assert list(table["seeds"]) == ["3", "3", "3", "0"]
    assert list(table["seconds"]) == ["62", "62", "62", "–"]
    assert list(table["mean IoU [%]"]) == ["87.5 ± 0.0"] * 3 + ["–"]
    # naive: 0.59, 0.68, 0.77: s = 0.09, 4.3027 · 0.09 / √3 = 0.22357.
    assert table["boundary IoU [%]"]["naive"] == "68.0 ± 22.4"
    # naive - bilinear: 0.01, 0.02, 0.03: 0.02 ± 0.02484.
    assert list(table["Δ boundary IoU [points]"]) == [
        "–",
        "+36.0 [+16.1, +55.9]",
        "+2.0 [−0.5, +4.5]",
        "–",
    ]


def test_ladder_table_of_two_rungs_and_chosen_columns() -> None:
    table = ladder_table(
        SOME,
        ("bilinear", "naive"),
        metrics=["trimap_iou"],
        differences=["mean_iou", "boundary_iou"],
        predecessors={"naive": "nearest"},
    )
    assert list(table.columns) == [
        "seeds",
        "parameters",
        "trimap IoU [%]",
        "Δ mean IoU [points]",
        "Δ boundary IoU [points]",
        "seconds",
    ]
    assert table["Δ boundary IoU [points]"]["naive"].startswith("+38.0 [")
    assert table["Δ boundary IoU [points]"]["bilinear"] == "–"


def test_default_order_is_the_ladder() -> None:
    records = [r for name in LADDER for r in runs(name, {0: 0.5, 1: 0.6})]
    assert len(ladder_table(records)) == len(LADDER)
    steps = paired_differences(records, "boundary_iou")
    assert list(steps["upsampler"]) == list(LADDER[1:])
    assert list(steps["before"]) == list(LADDER[:-1])


def test_paired_differences() -> None:
    steps = paired_differences(
        SOME, "boundary_iou", ("nearest", "bilinear", "naive", "grouping")
    ).set_index("upsampler")
    naive = steps.loc["naive"]
    half = 4.302652730 / math.sqrt(3)
    assert (naive["before"], naive["n"], naive["label"]) == ("bilinear", 3, "naive")
    assert naive["mean"] == pytest.approx(2, abs=1e-9)
    assert naive["low"] == pytest.approx(2 - half, abs=1e-7)
    assert naive["high"] == pytest.approx(2 + half, abs=1e-7)
    assert naive["verdict"] == "no difference shown"
    assert steps.loc["bilinear", "verdict"] == "helps"
    assert steps.loc["grouping", "n"] == 0
    assert math.isnan(steps.loc["grouping", "mean"])
    other = paired_differences(
        SOME, "boundary_iou", ("naive",), predecessors={"naive": "nearest"}
    )
    assert other["mean"].tolist() == pytest.approx([38.0])


def test_scores_and_difference() -> None:
    assert scores(SOME, "naive", "boundary_iou") == {0: 0.59, 1: 0.68, 2: 0.77}
    step = difference(SOME, "naive", "bilinear", "boundary_iou")
    assert step.mean == pytest.approx(0.02, abs=1e-12)
    with pytest.raises(ValueError, match="runs of carafe, got none"):
        scores(SOME, "carafe")
    with pytest.raises(ValueError, match="metric has to be one of"):
        scores(SOME, "naive", "accuracy")


@pytest.mark.parametrize(
    ("field", "value"),
    [("dataset", "pets"), ("decoder", "fpn"), ("epochs", 6), ("budget", "quick")],
)
def test_settings_are_not_mixed(field: str, value: object) -> None:
    mixed = [*SOME, *runs("bilinear", {0: 0.9}, **{field: value})]
    with pytest.raises(ValueError, match=rf"agree in {field}, got .*select\(records"):
        ladder_table(mixed, ("nearest", "bilinear"))
    with pytest.raises(ValueError, match=f"agree in {field}"):
        paired_differences(mixed, "mean_iou", ("nearest", "bilinear"))
    # Runs of upsamplers that are not asked for do not matter.
    assert len(ladder_table(mixed, ("nearest", "naive"))) == 2


def test_table_arguments_have_to_fit() -> None:
    with pytest.raises(ValueError, match="order has to hold different upsamplers"):
        ladder_table(SOME, ("naive", "naive"))
    with pytest.raises(ValueError, match="order has to hold different upsamplers"):
        ladder_table(SOME, ())
    with pytest.raises(ValueError, match="metrics and differences has to be one of"):
        ladder_table(SOME, metrics=["miou"])
    with pytest.raises(ValueError, match="got none"):
        ladder_table([])
    mixed = [*SOME, *runs("naive", {9: 0.5}, upsampler_parameters=2_000)]
    with pytest.raises(ValueError, match="naive have to agree in upsampler_parameters"):
        ladder_table(mixed)
    apart = [*runs("nearest", {0: 0.5}), *runs("bilinear", {1: 0.5})]
    with pytest.raises(ValueError, match="share at least one seed"):
        ladder_table(apart)


def test_the_recorded_steps_are_what_the_introduction_says_of_them() -> None:
    """Under "What we found", in words: another record needs other words."""
    table = paired_differences(
        recorded_runs("ladder"), "boundary_iou", predecessors=PREDECESSORS
    )
    steps = dict(zip(table["upsampler"], table["verdict"], strict=True))
    assert steps.pop("bilinear") == steps.pop("naive") == "helps"
    assert (steps.pop("static_scope"), steps.pop("grouping")) == ("hurts", "helps")
    assert set(steps.values()) == {"no difference shown"}
    assert len(steps) == 4
