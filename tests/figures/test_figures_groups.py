"""Mean offsets of groups with their dispersion, and effects over a setting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from figure_samples import Estimate, named, titles
from torch import Tensor

from dysample_lib import figures, initial_positions
from dysample_lib.figures.groups import constant_share


def sample_maps(*groups: tuple[float, float], count: int = 400) -> Tensor:
    """Offsets (2, 2·g·4, h, w): group i's points lie at start + its mean ± its spread.

    The spread is along x + y alone: half of the pixels lie at +1, half at −1 times
    ``spread`` in both.
    """
    sign = torch.ones(2, count // 2)
    sign[:, ::2] = -1
    starts = initial_positions(2)  # (2, 2, 2)
    maps = [
        starts[..., None, None]
        + torch.tensor([mean, 0.0]).view(2, 1, 1, 1, 1)
        + spread * sign
        for mean, spread in groups
    ]
    offsets = torch.stack(maps, 1)  # (2, g, 2, 2, 2, w)
    return offsets.flatten(0, 3).expand(2, -1, -1, -1)


def test_arrows_end_at_means_and_ellipses_have_the_deviations():
    fig = figures.group_offsets({"two": sample_maps((0.1, 0.03), (-0.2, 0.0))})
    x, y = initial_positions(2).flatten(1).numpy()
    for group, mean in ((1, 0.1), (2, -0.2)):
        ends = np.array(
            [dot.get_xydata()[0] for dot in named(fig, f"group {group} mean")]
        )
        np.testing.assert_allclose(ends, np.stack([x + mean, y], 1), atol=1e-4)
    ellipses = named(fig, "group 1 ellipse")
    assert len(ellipses) == 4
    for ellipse in ellipses:
        assert ellipse.width == pytest.approx(2 * 0.03 * math.sqrt(2), rel=1e-3)
        assert ellipse.height == pytest.approx(0, abs=1e-5)
        assert ellipse.angle % 180 == pytest.approx(45, abs=0.1)
    assert all(e.width < 1e-5 for e in named(fig, "group 2 ellipse"))
    # 0.1² and 0.2² are constant; 0.03² in x and in y is not.
    share = (0.1**2 + 0.2**2) / (0.1**2 + 0.2**2 + 2 * 0.03**2)
    assert titles(fig) == ["two"]
    assert fig.axes[0].get_xlabel() == f"{100 * share:.0f} % constant"


def test_panels_share_a_scale_and_the_legend_names_the_groups():
    near, far = sample_maps((0.0, 0.01)), sample_maps((0.9, 0.0), (0.0, 0.0))
    fig = figures.group_offsets({"one set": near, "two sets": far[0]})
    assert len({ax.get_xlim() for ax in fig.axes}) == 1
    assert fig.axes[0].get_xlim()[1] > 1.15
    assert fig.axes[0].get_ylim()[0] > 0  # y points down, as in a map
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["group 1", "group 2"]
    assert not figures.group_offsets({"one set": near}).legends


def test_points_that_start_at_the_centre():
    offsets = torch.zeros(1, 8, 3, 3)
    offsets[:, 0] = 0.25  # the first point, x
    fig = figures.group_offsets({"naive": offsets}, initial="nearest")
    ends = [tuple(dot.get_xydata()[0]) for dot in named(fig, "group 1 mean")]
    assert ends == [(0.25, 0), (0, 0), (0, 0), (0, 0)]
    assert fig.axes[0].get_xlabel() == "100 % constant"
    still = figures.group_offsets({"naive": torch.zeros(8, 3, 3)}, initial="nearest")
    assert still.axes[0].get_xlabel() == "nothing learned"


@pytest.mark.parametrize(
    "offsets, message",
    [
        ({}, "at least one entry, got none"),
        ({"a": torch.zeros(12, 3, 3)}, r"\['a'\] has to be \(N, 2·g·4, h, w\), got"),
        ({"a": torch.zeros(8, 3)}, r"got \(8, 3\)"),
        ({"a": torch.zeros(72, 3, 3)}, "at most 8 groups, got 9"),
    ],
)
def test_offsets_that_do_not_fit_are_named(offsets, message):
    with pytest.raises(ValueError, match=message):
        figures.group_offsets(offsets)


def test_nothing_learned_has_no_constant_share():
    assert math.isnan(constant_share(torch.zeros(5, 2)))


def test_effects_stand_at_their_values_in_points():
    effects = {8: Estimate(-0.002, -0.004, 0.0, 5), 32: Estimate(0.01, 0.0, 0.02, 5)}
    fig = figures.sensitivity_plot(
        {"grouping": effects, "× 4": {8: 0.003}}, xlabel="epochs"
    )
    (line,) = named(fig, "grouping")
    x, y = line.get_xydata().T
    np.testing.assert_allclose(x, [8, 32], rtol=0.05)
    np.testing.assert_allclose(y, [-0.2, 1.0])
    assert line.get_color() == figures.COLOURS["grouping"]
    (bars,) = named(fig, "grouping intervals")
    drawn = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(drawn, [[-0.4, 0], [0, 2]])
    (other,) = named(fig, "× 4")
    assert other.get_xdata()[0] != x[0]  # beside, not on top
    (margin,) = named(fig, "margin")
    assert (margin.get_y(), margin.get_height()) == (-0.5, 1)
    assert named(fig, "zero")
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "32"]
    assert ax.get_ylabel() == "boundary IoU: difference [points]"


def test_scores_have_no_line_of_no_difference():
    fig = figures.sensitivity_plot(
        {"grouping": {1: 0.4, 2: 0.5}}, xlabel="groups", differences=False
    )
    assert not named(fig, "zero") and not named(fig, "margin")
    assert fig.axes[0].get_ylabel() == "boundary IoU [%]"


@pytest.mark.parametrize("series", [{}, {"a": {}}, {"a": {0: 0.1}}])
def test_series_that_do_not_fit_are_refused(series):
    with pytest.raises(ValueError, match="series has to"):
        figures.sensitivity_plot(series, xlabel="x")
