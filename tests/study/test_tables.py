"""The tables say what the records say, by one rule, and refuse to mix them."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean

import pytest
from record_samples import RECORD, runs

from dysample_lib.cost import recorded_costs
from dysample_lib.study.intervals import paired_difference
from dysample_lib.study.provenance import code_digest
from dysample_lib.study.records import Record, recorded_runs, select
from dysample_lib.study.tables import (
    difference,
    ladder_table,
    paired_differences,
    scores,
    step_verdicts,
)
from dysample_lib.study.verdicts import family
from dysample_lib.upsamplers import LADDER, PREDECESSORS


def now(records: list[Record], **changes: object) -> list[Record]:
    """The records as if the present code had made them."""
    environment = RECORD.environment | {"code": code_digest()}
    return [replace(r, environment=environment, **changes) for r in records]


SOME = [
    *now(runs("naive", {0: 0.59, 1: 0.68, 2: 0.77}), upsampler_parameters=1_000),
    *now(runs("nearest", {0: 0.30, 1: 0.31, 2: 0.32}), upsampler_parameters=0),
    *now(runs("bilinear", {0: 0.58, 1: 0.66, 2: 0.74}), upsampler_parameters=0),
]


def test_ladder_table() -> None:
    order = ("nearest", "bilinear", "naive", "initial_offsets")
    table = ladder_table(SOME, order)
    assert list(table.index) == ["nearest", "bilinear", "naive", "+ initial offsets"]
    assert list(table.columns) == [
        "seeds",
        "parameters",
        "boundary IoU [%]",
        "mean IoU [%]",
        "trimap IoU [%]",
        "Δ boundary IoU [points]",
        "verdict",
    ]
    assert list(table["parameters"]) == ["0", "0", "1,000", "–"]
    assert list(table["seeds"]) == ["3", "3", "3", "0"]
    assert list(table["mean IoU [%]"]) == ["87.5 ± 0.0"] * 3 + ["–"]
    # naive: 0.59, 0.68, 0.77: s = 0.09, 4.3027 · 0.09 / √3 = 0.22357.
    assert table["boundary IoU [%]"]["naive"] == "68.0 ± 22.4"
    # naive - bilinear: 0.01, 0.02, 0.03: 0.02 ± 0.02484.
    assert list(table["Δ boundary IoU [points]"]) == [
        "–",
        "+35.0 [+17.6, +52.4]",
        "+2.0 [−0.5, +4.5]",
        "–",
    ]
    assert list(table["verdict"]) == ["–", "helps (shown)", "not shown", "–"]


def test_ladder_table_of_chosen_columns() -> None:
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
        "verdict, mean IoU",
        "Δ boundary IoU [points]",
        "verdict, boundary IoU",
    ]
    # What it is compared with is not the row above, so it is named.
    assert table["Δ boundary IoU [points]"]["naive"].startswith("+37.0 [")
    assert table["Δ boundary IoU [points]"]["naive"].endswith("] to nearest")
    assert table["Δ boundary IoU [points]"]["bilinear"] == "–"
    alone = ladder_table(SOME, ("bilinear", "naive"), differences=())
    assert not any("verdict" in column for column in alone)


def test_tables_are_in_the_tasks_metrics_and_units() -> None:
    heights = [
        replace(record, metrics={"rmse": rmse}, spec=replace(record.spec, seed=seed))
        for name, first in (("nearest", 470.0), ("bilinear", 440.0))
        for seed, rmse in enumerate((first, first + 4, first + 2))
        for record in now(runs(name, {0: 0.0}))
    ]
    table = ladder_table(
        heights, ("nearest", "bilinear"), metrics=["rmse"], differences=["rmse"]
    )
    assert table["RMSE [m]"]["nearest"] == "472.0 ± 5.0"
    assert table["Δ RMSE [m]"]["bilinear"] == "−30.00 [−30.00, −30.00]"
    assert table["verdict"]["bilinear"] == "helps (shown)"
    with pytest.raises(
        ValueError, match="records of nearest have no boundary_iou, got"
    ):
        ladder_table(heights, ("nearest",))


def test_one_run_has_no_verdict() -> None:
    one = [record for record in SOME if record.spec.seed == 0]
    table = ladder_table(one, ("nearest", "bilinear"))
    assert list(table["verdict"]) == ["–", "one run, no verdict"]
    assert list(table["boundary IoU [%]"]) == ["30.0", "58.0"]


def test_rows_of_other_code_say_so() -> None:
    assert "code" not in ladder_table(SOME, ("nearest", "bilinear"))
    mixed = [*SOME[3:], *runs("naive", {0: 0.5, 1: 0.6})]
    table = ladder_table(mixed, ("nearest", "bilinear", "naive"))
    assert list(table["code"]) == ["", "", "older"]


def test_default_order_is_the_ladder() -> None:
    records = [r for name in LADDER for r in runs(name, {0: 0.5, 1: 0.6})]
    table = ladder_table(records)
    assert len(table) == len(LADDER)
    steps = paired_differences(records, "boundary_iou")
    assert list(steps["upsampler"]) == list(LADDER[1:])
    assert dict(zip(steps["upsampler"], steps["before"], strict=True)) == PREDECESSORS
    named = table["Δ boundary IoU [points]"].str.contains(" to ")
    assert list(table.index[named]) == ["DySample-S"]
    assert table["Δ boundary IoU [points]"]["DySample-S"].endswith(" to DySample")


def test_a_predecessor_that_is_not_in_the_table_is_the_row_above() -> None:
    steps = paired_differences(SOME, order=("nearest", "naive"))
    assert list(steps["before"]) == ["nearest"]
    steps = paired_differences(SOME, order=("naive", "bilinear"))
    assert list(steps["before"]) == ["naive"]


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
    assert naive["sd"] == pytest.approx(1, abs=1e-9)
    assert naive["correlation"] == pytest.approx(1, abs=1e-9)
    assert naive["verdict"] == "not shown"
    assert steps.loc["bilinear", "verdict"] == "helps (shown)"
    assert steps.loc["grouping", "n"] == 0
    assert math.isnan(steps.loc["grouping", "mean"])
    # Two questions were asked: grouping has no runs.
    assert steps.loc["bilinear", "p_holm"] == pytest.approx(
        2 * steps.loc["bilinear", "p"]
    )
    other = paired_differences(
        SOME, "boundary_iou", ("naive",), predecessors={"naive": "nearest"}
    )
    assert other["mean"].tolist() == pytest.approx([37.0])
    apart = paired_differences(
        SOME, "boundary_iou", ("bilinear", "naive"), paired=False
    )
    assert apart["high"][0] - apart["low"][0] > 20


def test_scores_and_difference() -> None:
    assert scores(SOME, "naive", "boundary_iou") == {0: 0.59, 1: 0.68, 2: 0.77}
    step = difference(SOME, "naive", "bilinear", "boundary_iou")
    assert step.mean == pytest.approx(0.02, abs=1e-12)
    apart = difference(SOME, "naive", "bilinear", "boundary_iou", paired=False)
    assert apart.mean == pytest.approx(0.02, abs=1e-12)
    assert apart.high > 4 * step.high
    with pytest.raises(ValueError, match="runs of carafe, got none"):
        scores(SOME, "carafe")
    with pytest.raises(ValueError, match="metric has to be one of"):
        scores(SOME, "naive", "accuracy")
    again = now(runs("naive", {0: 0.6}, budget="quick"))
    with pytest.raises(ValueError, match="several runs of naive, seed 0"):
        scores([*SOME, *again], "naive")


def test_variants_stand_beside_each_other() -> None:
    records = [
        *runs("grouping", {0: 0.5, 1: 0.6}),
        *runs("grouping,scope=0.5", {0: 0.6, 1: 0.7}),
        *runs("carafe", {0: 0.5, 1: 0.5}),
    ]
    table = ladder_table(records, ("grouping", "grouping,scope=0.5"))
    assert list(table.index)[1] == "+ grouping (DySample), scope=0.5"
    step = difference(records, "grouping,scope=0.5", "grouping", "boundary_iou")
    assert step.mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("field", "value", "both"),
    [
        ("dataset", "pets", "'coastlines', 'pets'"),
        ("decoder", "fpn", "'fpn', 'pointwise'"),
        ("epochs", 6, "24, 6"),
        ("offset_rate", 4.0, "1.0, 4.0"),
        ("frozen", True, "False, True"),
    ],
)
def test_settings_are_not_mixed(field: str, value: object, both: str) -> None:
    mixed = [*SOME, *runs("bilinear", {9: 0.9}, **{field: value})]
    refusal = f"agree in all but upsampler and seed, got {field} {both}; choose with"
    with pytest.raises(ValueError, match=refusal):
        ladder_table(mixed, ("nearest", "bilinear"))
    with pytest.raises(ValueError, match=refusal):
        paired_differences(mixed, "mean_iou", ("nearest", "bilinear"))
    # Runs of upsamplers that are not asked for do not matter.
    assert len(ladder_table(mixed, ("nearest", "naive"))) == 2


def test_runs_of_two_budgets_are_of_one_setting() -> None:
    more = now(runs("naive", {3: 0.7}, budget="quick"))
    assert len(scores([*SOME, *more], "naive")) == 4


def test_table_arguments_have_to_fit() -> None:
    with pytest.raises(ValueError, match="order has to hold different upsamplers"):
        ladder_table(SOME, ("naive", "naive"))
    with pytest.raises(ValueError, match="order has to hold different upsamplers"):
        ladder_table(SOME, ())
    for option in ("metrics", "differences"):
        with pytest.raises(ValueError, match="metric has to be one of"):
            ladder_table(SOME, **{option: ["miou"]})
    with pytest.raises(ValueError, match="got none"):
        ladder_table([])
    mixed = [*SOME, *now(runs("naive", {9: 0.5}), upsampler_parameters=2_000)]
    with pytest.raises(ValueError, match="naive have to agree in upsampler_parameters"):
        ladder_table(mixed)
    apart = [*runs("nearest", {0: 0.5}), *runs("bilinear", {1: 0.5})]
    with pytest.raises(ValueError, match="share at least one seed"):
        ladder_table(apart)
    assert ladder_table(apart, paired=False)["seeds"]["bilinear"] == "1"


def test_the_recorded_steps_are_what_the_introduction_says_of_them() -> None:
    """Under "What we found", in words: another record needs other words."""
    probe = step_verdicts(recorded_runs("probe"), "boundary_iou")
    words = {name: str(step) for name, step in probe.items()}
    assert words.pop("bilinear") == words.pop("naive") == "helps (shown)"
    assert words.pop("grouping") == "helps (shown)"
    assert words.pop("static_scope") == words.pop("dysample_s") == "hurts (shown)"
    assert set(words.values()) == {"not shown"}
    assert len(words) == 3
    cost, won = (probe[n].estimate.mean for n in ("static_scope", "grouping"))
    assert -0.015 < cost < -0.01 and 0.02 < won < 0.025  # "a point", "two"
    ahead = difference(recorded_runs("probe"), "grouping", "naive", "boundary_iou")
    assert 0 < ahead.low < ahead.mean < 0.01  # "a little ahead"
    fast = scores(recorded_runs("probe_speed"), "static_scope", "boundary_iou")
    slow = scores(recorded_runs("probe"), "static_scope", "boundary_iou")
    assert 2 * paired_difference(fast, slow).mean > -cost  # "most of it by slowing"
    paper = step_verdicts(recorded_runs("paper_coastlines"), "boundary_iou")
    assert str(paper["naive"]) == "helps (shown)"  # moving points pays, in both
    later = ("initial_offsets", "static_scope", "grouping", "dynamic_scope")
    assert not any(paper[name].words == "shown" for name in later)
    gains = {name: step.estimate.mean for name, step in paper.items()}
    assert gains["bilinear"] < gains["naive"] < 2 * gains["bilinear"]  # "worth more"
    rest = [gain for name, gain in gains.items() if name not in ("naive", "bilinear")]
    assert len(rest) == 6 and max(map(abs, rest)) < 0.005  # "half a point or less"


def test_the_recorded_rivals_are_what_the_introduction_says_of_them() -> None:
    head = recorded_runs("paper_coastlines")
    rivals = ("carafe", "sapa", "deconv", "pixel_shuffle", "fade")
    gains = {
        name: difference(head, "grouping", name, "boundary_iou") for name in rivals
    }
    sides = [str(side) for side in family(gains, "boundary_iou").values()]
    level = "no difference above ½ point"
    assert sides == [*["helps (shown)"] * 3, level, "hurts (shown)"]
    costs = {cost.upsampler: cost for cost in recorded_costs()}
    for of in ("parameters", "flops", "peak_training_bytes", "training_ms"):
        cheapest = min(getattr(costs[name], of) for name in rivals)
        assert getattr(costs["grouping"], of) < cheapest, of


def test_street_scenes_are_what_the_pages_say_of_them() -> None:
    """Moving points: about half a point (introduction, "Which …?"), most of it by
    looking, and nothing that matters after the naive design (chapter 05).
    """
    scenes = recorded_runs("paper_camvid")
    for metric in ("mean_iou", "boundary_iou"):
        for name in ("naive", "grouping"):
            gain = difference(scenes, name, "bilinear", metric)
            assert gain.low > 0 and 0.004 < gain.mean < 0.006, (name, metric)
    moving, looking, later = (
        difference(scenes, "grouping", name, "mean_iou")
        for name in ("bilinear", "blind", "naive")
    )
    assert looking.low > 0 and looking.mean > moving.mean / 2
    assert -0.005 < later.low < later.high < 0.005


def test_the_rivals_on_street_scenes_are_what_the_pages_say_of_them() -> None:
    """CARAFE is a point ahead (introduction, 06, 09); the other two are open."""
    scenes = recorded_runs("paper_camvid")
    gains = {
        rival: difference(scenes, "grouping", rival, "mean_iou")
        for rival in ("carafe", "fade", "sapa")
    }
    found = family(gains, "mean_iou")
    assert str(found["carafe"]) == "hurts (shown)"
    assert found["fade"].words == found["sapa"].words == "not shown"
    assert -0.0125 < gains["carafe"].mean < -0.0075
    boundaries = difference(scenes, "grouping", "carafe", "boundary_iou")
    assert boundaries.high < 0  # "Which should I use?"


def test_the_decoders_are_what_the_pages_say_of_them() -> None:
    """The introduction, "Which should I use?" and chapters 06 and 09, in words."""
    runs, metric = recorded_runs("paper_decoders"), "boundary_iou"
    pyramid, coarse = (select(runs, decoder=name) for name in ("fpn", "pointwise"))
    for other in ("bilinear", "blind"):
        gain = difference(pyramid, "grouping", other, metric)
        assert -0.005 < gain.low < gain.high < 0.005, other
    head = select(recorded_runs("paper_coastlines"), decoder="segformer")
    best = {name: fmean(scores(head, name, metric).values()) for name in LADDER}
    assert fmean(scores(pyramid, "bilinear", metric).values()) > max(best.values())
    # "With every upsampler nearly all of the coast is lost."
    names = {run.spec.variant for run in coarse}
    assert len(names) == 7
    assert all(max(scores(coarse, name, metric).values()) < 0.06 for name in names)
    assert difference(coarse, "grouping", "carafe", metric).high < 0
