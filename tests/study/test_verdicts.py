"""Verdicts follow one rule: corrected for the family, by the metric's direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysample_lib.study.intervals import Estimate, mean_interval, paired_difference
from dysample_lib.study.verdicts import ALPHA, family, holm, verdict


def test_holm_by_hand() -> None:
    # 0.01 · 4, 0.015 · 3, 0.02 · 2 < 0.045, 0.9 · 1
    assert holm([0.02, 0.9, 0.01, 0.015]) == pytest.approx([0.045, 0.9, 0.04, 0.045])
    # The two verdicts of seven that looked shown before they were corrected
    seven = holm([0.029, 0.036, 0.2, 0.4, 0.5, 0.7, 0.9])
    assert seven[:2] == pytest.approx([0.203, 0.216])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_runs_without_a_p_value_ask_nothing() -> None:
    found = holm([0.01, math.nan, 0.02])
    assert (found[0], found[2]) == (0.02, 0.02)
    assert math.isnan(found[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_stricter_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for p, q in zip(p_values, corrected, strict=True):
        assert p <= q <= min(1, len(p_values) * p)
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


def test_holm_shows_nothing_in_a_family_of_nothing() -> None:
    draws = np.random.default_rng(0).normal(size=(1000, 7, 5))
    shown = 0
    for values in draws:
        found = family({str(i): mean_interval(row) for i, row in enumerate(values)})
        shown += any(v.words == "shown" for v in found.values())
    assert shown / 1000 == pytest.approx(ALPHA, abs=0.02)


def estimate(mean: float, half: float, p: float, n: int = 5) -> Estimate:
    return Estimate(mean, mean - half, mean + half, n, p=p)


@pytest.mark.parametrize(
    ("found", "words", "text"),
    [
        (estimate(0.02, 0.01, 0.001), "shown", "helps (shown)"),
        (estimate(-0.02, 0.01, 0.001), "shown", "hurts (shown)"),
        (
            estimate(-0.002, 0.001, 0.001),
            "shown",
            "hurts (shown), by less than ½ point",
        ),
        (estimate(0.02, 0.019, 0.049), "shown", "helps (shown)"),
        (estimate(0.02, 0.021, 0.051), "not shown", "not shown"),
        (estimate(0.02, 0.02, 0.05), "not shown", "not shown"),
        (
            estimate(0.001, 0.004, 0.4),
            "no difference above ½ point",
            "no difference above ½ point",
        ),
        (estimate(0.001, 0.0041, 0.4), "not shown", "not shown"),
        (estimate(-0.001, 0.0041, 0.4), "not shown", "not shown"),
        (
            Estimate(0.02, math.nan, math.nan, 1),
            "one run, no verdict",
            "one run, no verdict",
        ),
        (Estimate(math.nan, math.nan, math.nan, 0), "no verdict", "no verdict"),
    ],
)
def test_words_of_a_question_that_stands_alone(
    found: Estimate, words: str, text: str
) -> None:
    assert verdict(found).words == words
    assert str(verdict(found)) == text


def test_words_follow_the_corrected_p_value() -> None:
    steps = {
        "clear": estimate(0.05, 0.01, 0.0001),
        "first": estimate(-0.02, 0.015, 0.03),
        "tight": estimate(0.002, 0.001, 0.03),
        "one": Estimate(0.03, math.nan, math.nan, 1),
        "none": estimate(0.0, 0.02, 0.9),
    }
    found = family(steps)
    assert list(found) == list(steps)
    assert {name: str(v) for name, v in found.items()} == {
        "clear": "helps (shown)",
        "first": "hurts (suggested)",
        "tight": "no difference above ½ point",  # stronger than a suggestion
        "one": "one run, no verdict",
        "none": "not shown",
    }
    assert found["clear"].p_holm == pytest.approx(0.0004)  # of four, not of five
    assert (found["first"].p, found["first"].p_holm) == (0.03, pytest.approx(0.09))
    assert str(verdict(steps["first"])) == "hurts (shown)"


def test_less_helps_where_less_is_better() -> None:
    fewer = estimate(-30.0, 10.0, 0.001)
    assert str(verdict(fewer, "rmse")) == "helps (shown)"
    assert str(verdict(estimate(30.0, 10.0, 0.001), "rmse")) == "hurts (shown)"
    assert str(verdict(estimate(1.0, 4.0, 0.5), "rmse")) == "no difference above 5 m"
    assert str(verdict(estimate(1.0, 4.1, 0.5), "rmse")) == "not shown"
    small = verdict(estimate(-2.0, 1.0, 0.001), "rmse")
    assert small.sentence == "helps (shown), by less than 5 m: −2.0 [−3.0, −1.0] m"
    with pytest.raises(ValueError, match="metric has to be one of"):
        family({}, "accuracy")


def test_the_interval_and_the_verdict_agree_on_one_question() -> None:
    rng = np.random.default_rng(0)
    for shift in np.linspace(-2, 2, 60):
        a, b = (dict(enumerate(v)) for v in rng.normal([[shift], [0]], 1, (2, 5)))
        found = paired_difference(a, b)
        beside = found.low > 0 or found.high < 0
        assert (verdict(found).words == "shown") is beside
