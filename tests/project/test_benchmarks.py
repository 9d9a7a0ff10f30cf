"""What the benchmarks recorded keeps to its bounds, and their programs run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from _repository import ROOT

from benchmarks import operator_cost, training_cost

LIMITS = {"1×256×120×120": 1.15, "1×64×256×256": 1.15, "4×64×32×32": 1.6}
"""Times bare ``grid_sample`` and the convolution."""

TRAINING_LIMITS = {"probe": 1.3, "paper's setting": 1.6}
"""Times bilinear interpolation, an epoch of each testbed with DySample.

With a frozen encoder's maps kept, a step has little beside the six upsamplers in it.
"""


def recorded(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))


def test_the_operator_costs_little_more_than_what_it_cannot_do_without() -> None:
    rows = [r for r in recorded("operator_cost")["rows"] if r["size"] in LIMITS]
    assert len(rows) == len(LIMITS) * len(operator_cost.MODES)
    for row in rows:
        assert row["to_bare"]["DySample"] <= LIMITS[row["size"]], row
        taken = row["milliseconds"]
        assert taken["DySample"] <= taken["published"], row


def test_training_costs_little_more_than_with_bilinear_interpolation() -> None:
    rows = recorded("training_cost")["rows"]
    for testbed, (_, upsamplers) in training_cost.TESTBEDS.items():
        found = {r["upsampler"]: r for r in rows if r["testbed"] == testbed}
        assert tuple(found) == upsamplers
        assert found["bilinear"]["to_bilinear"] == 1
        assert found["grouping"]["to_bilinear"] <= TRAINING_LIMITS[testbed]


def test_the_training_s_program_knows_the_parts_of_a_step() -> None:
    seconds, task = training_cost.epoch("efficientnet_lite0", "grouping", 0, 32)
    assert len(task.steps) == 2
    taken = training_cost.milliseconds([task], 32)
    assert tuple(taken) == training_cost.PARTS
    assert taken.pop("encoder") == 0  # its maps are kept
    assert min(taken.values()) > 0
    assert sum(sum(step.values()) for step in task.steps[1:]) < seconds
    _, task = training_cost.epoch("small", "bilinear", 0, 16)
    assert training_cost.milliseconds([task], 16)["encoder"] > 0


@pytest.mark.parametrize("variant", operator_cost.VARIANTS)
def test_the_operator_s_program_measures_every_variant(variant: str) -> None:
    rows = operator_cost.measure((1, 32, 5, 6), variant, 7, compiled=False)
    text = operator_cost.markdown(rows)
    assert text.count("1×32×5×6") == len(operator_cost.MODES)
    assert all(row["to_bare"]["bare"] == 1 for row in rows)
