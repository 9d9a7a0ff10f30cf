"""Growth along an axis, and the power laws that are fitted to it."""

from __future__ import annotations

import math
import re

import pytest
from cost_samples import sample_cost

from dysample_lib.cost import AXES, Growth, growth


def of_law(exponent: float, factor: float = 3.0) -> Growth:
    costs = [
        sample_cost(channels=c, forward_ms=factor * c**exponent) for c in (8, 16, 64)
    ]
    return Growth("channels", tuple(costs))


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_a_power_law_is_found_again(exponent):
    assert of_law(exponent).fit("forward_ms") == pytest.approx((exponent, 3.0))


def test_a_constant_part_lowers_the_exponent():
    costs = [sample_cost(channels=c, forward_ms=50.0 + c) for c in (8, 16, 64)]
    exponent, _ = Growth("channels", tuple(costs)).fit("forward_ms")
    assert 0 < exponent < 0.5


def test_nothing_grows_by_no_law():
    costs = tuple(sample_cost(channels=c, weights=0) for c in (8, 16))
    assert all(math.isnan(n) for n in Growth("channels", costs).fit("weights"))
    assert Growth("channels", costs).measured("weights") == [0.0, 0.0]


def test_pixels_are_those_of_the_map():
    costs = tuple(sample_cost(height=n, width=2 * n) for n in (3, 5))
    assert Growth("pixels", costs).values == [18, 50]


# What the formulas of DySample say, for what needs no clock.
EXPONENTS = {
    "pixels": {"weights": 0, "flops": 1, "saved_bytes": 1, "flops_layers": 1},
    "channels": {"weights": 1, "flops_layers": 1, "saved_bytes": 0},
    "groups": {"weights": 1, "flops_layers": 1, "saved_bytes": 1},
    "scale": {"weights": 2, "flops": 2, "saved_bytes": 2},
}


@pytest.mark.parametrize("axis", AXES)
def test_dysample_grows_as_its_formulas_say(axis):
    values = {"pixels": (4, 6, 8), "channels": (8, 16), "groups": (1, 2, 4)}
    options = {"channels": 8, "height": 4, "width": 5, "repeats": 7, "threads": 1}
    grown = growth("grouping", axis, values.get(axis, (2, 3)), **options)
    assert (grown.axis, grown.upsampler) == (axis, "grouping")
    for of, exponent in EXPONENTS[axis].items():
        assert grown.fit(of)[0] == pytest.approx(exponent, abs=0.01), of
    assert all(0 < n < math.inf for n in grown.measured("training_ms"))


def test_values_are_measured_in_order_and_once(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "dysample_lib.cost.power_law.measure",
        lambda settings, **_: seen.extend(settings) or settings,
    )
    growth("fade", "pixels", [9, 3, 9], channels=8)
    assert [s.shapes()[0] for s in seen] == [(1, 8, 3, 3), (1, 8, 9, 9)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("grouping", "depth"), "axis has to be one of 'pixels', 'channels', 'groups'"),
        (("grouping", "scale", [2]), "values has to hold at least two, got [2]"),
        (("grouping", "scale", [2, 2]), "values has to hold at least two, got [2]"),
        (("bilinear", "groups"), "groups has to be None for bilinear, which has none"),
        (("grouping", "groups", [3, 4]), "groups has to divide in_channels, got"),
        (("sharp", "scale"), "upsampler has to be one of nearest, "),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        growth(*call)
