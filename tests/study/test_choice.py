"""The cheapest of what is not shown to be behind, and nothing else decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from record_samples import runs

from dysample_lib.study.choice import choose
from dysample_lib.study.records import Record

PARAMETERS = {"bilinear": 0, "dysample_s": 400, "naive": 800, "grouping": 3_000}
SEEDS = {0: 0.40, 1: 0.42, 2: 0.44, 3: 0.46, 4: 0.48}  # move all alike


def recorded(scatter: float = 0.0005, **more: float) -> list[Record]:
    """Five seeds of each, ``more`` by name, whose differences scatter."""
    found = []
    for place, (name, extra) in enumerate(more.items()):
        # Different for each, and 0 on the mean.
        noise = [scatter * ((3 * place + seed * (place + 1)) % 5 - 2) for seed in SEEDS]
        pairs = zip(SEEDS.items(), noise, strict=True)
        values = {seed: value + extra + e for (seed, value), e in pairs}
        found += [
            replace(run, upsampler_parameters=PARAMETERS[name])
            for run in runs(name, values)
        ]
    return found


def test_the_cheapest_that_is_not_behind_is_enough() -> None:
    records = recorded(bilinear=0, dysample_s=0.02, naive=0.04, grouping=0.0404)
    choice = choose(records, tuple(PARAMETERS))
    assert choice.best == "grouping"
    assert choice.behind == ("bilinear", "dysample_s")
    assert choice.tied == ("naive",)
    assert choice.enough == "naive"
    assert choice.parameters == PARAMETERS
    assert str(choice.gains["bilinear"]) == "helps (shown)"


def test_behind_by_less_than_the_margin_is_not_behind() -> None:
    choice = choose(recorded(0.0001, bilinear=0, naive=0.003), ("bilinear", "naive"))
    assert str(choice.gains["bilinear"]) == "helps (shown), by less than ½ point"
    assert choice.behind == () and choice.enough == "bilinear"
    choice = choose(recorded(0.0001, bilinear=0, naive=0.007), ("bilinear", "naive"))
    assert choice.behind == ("bilinear",) and choice.enough == "naive"


def test_what_only_scatters_is_not_behind() -> None:
    choice = choose(recorded(0.05, bilinear=0, naive=0.03), ("bilinear", "naive"))
    assert choice.best == "naive" and choice.enough == "bilinear"


def test_the_comparisons_are_one_family() -> None:
    """Shown alone, not among many: p = 0.02 is no p of 0.02 where three are asked."""
    records = recorded(0.002, bilinear=0, naive=0.006, grouping=0.006, dysample_s=0.006)
    alone = choose(records, ("bilinear", "naive"))
    among = choose(records, ("bilinear", "naive", "grouping", "dysample_s"))
    p = alone.gains["bilinear"].p
    assert 0.05 / 3 < p < 0.05
    assert alone.behind == ("bilinear",) and among.behind == ()


def test_of_two_that_cost_alike_the_better_is_taken() -> None:
    records = recorded(0.0001, bilinear=0, naive=0.001)
    free = [replace(run, upsampler_parameters=0) for run in records]
    assert choose(free, ("bilinear", "naive")).enough == "naive"


def test_fewer_metres_are_better() -> None:
    records = [
        replace(run, metrics={"rmse": 1000 * run.metrics["boundary_iou"]})
        for run in recorded(bilinear=0, naive=0.1)
    ]
    choice = choose(records, ("bilinear", "naive"), "rmse")
    assert choice.best == "bilinear" and choice.behind == ("naive",)


def test_without_runs_there_is_no_choice() -> None:
    with pytest.raises(ValueError, match="runs of sapa, got none"):
        choose(recorded(naive=0), ("sapa",))
