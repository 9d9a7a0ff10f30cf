"""What the benchmarks recorded keeps to its bounds, and their programs run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from _repository import ROOT

from benchmarks import operator_cost, training_cost

LIMITS = {"1×256×120×120": 1.15, "1×64×256×256": 1.15, "4×64×32×32": 1.6}
"""Times bare ``grid_sample`` and the convolution."""

TRAINING_LIMIT = 1.3
"""Times bilinear interpolation, an epoch of the testbed with DySample."""


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
    rows = {row["upsampler"]: row for row in recorded("training_cost")["rows"]}
    assert set(rows) == set(training_cost.UPSAMPLERS)
    assert rows["bilinear"]["to_bilinear"] == 1
    assert rows["grouping"]["to_bilinear"] <= TRAINING_LIMIT


@pytest.mark.parametrize("variant", operator_cost.VARIANTS)
def test_the_operator_s_program_measures_every_variant(variant: str) -> None:
    rows = operator_cost.measure((1, 32, 5, 6), variant, 7, compiled=False)
    text = operator_cost.markdown(rows)
    assert text.count("1×32×5×6") == len(operator_cost.MODES)
    assert all(row["to_bare"]["bare"] == 1 for row in rows)
