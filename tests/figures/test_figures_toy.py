"""The pictures worked by hand: what they draw is where it has to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from figure_samples import (
    has_gid,
    named,
    texts,
    titles,
)
from matplotlib.quiver import Quiver

from dysample_lib import figures, initial_positions
from dysample_lib.figures import slopes


def test_number_tables_write_every_number():
    toy = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    large = F.interpolate(toy[None, None], scale_factor=2, mode="bilinear")[0, 0]
    fig = figures.number_tables({"X": toy, "bilinear": large})
    assert titles(fig) == ["X", "bilinear"]
    written = [float(text.get_text()) for text in fig.axes[1].texts]
    assert written == large.flatten().tolist()
    # One colour scale: an equal number has an equal colour.
    assert len({ax.images[0].get_clim() for ax in fig.axes}) == 1
    with pytest.raises(ValueError, match="tables has to hold 1 to 4"):
        figures.number_tables({})


def test_number_line_has_the_centres_in_both_units():
    fig = figures.number_line(4)
    (positions,), (grid,) = named(fig, "positions"), named(fig, "grid")
    assert positions.get_xdata().tolist() == [0.5, 1.5, 2.5, 3.5]
    assert grid.get_xdata().tolist() == positions.get_xdata().tolist()
    written = set(texts(fig))
    for position in (0, 0.5, 1.5, 2.5, 3.5, 4):
        assert {
            f"{position:g}",
            f"{2 * position / 4 - 1:g}".replace("-", "−"),
        } <= written


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_start_points_are_the_initial_positions(mode):
    fig = figures.start_points(torch.arange(6.0).view(2, 3), scale=2, pixel=(1, 2))
    (own,) = named(fig, f"{mode} points")
    x, y = initial_positions(2, mode).flatten(1).numpy()
    np.testing.assert_allclose(own.get_xdata(), 2.5 + x)
    np.testing.assert_allclose(own.get_ydata(), 1.5 + y)
    with pytest.raises(ValueError, match="pixel has to lie on the 2×3 map"):
        figures.start_points(torch.zeros(2, 3), pixel=(2, 0))


@pytest.mark.parametrize("scale", [2, 4])
def test_walking_ranges_print_the_overlap_that_they_draw(scale):
    factors = (1, 0.5, 0.25, 0.1)
    fig = figures.walking_ranges(factors, scale)
    for ax, factor in zip(fig.axes, factors, strict=True):
        squares = ax.findobj(has_gid("own range"))
        assert len(squares) == scale**2
        assert all(
            square.get_width() == pytest.approx(2 * factor) for square in squares
        )
        left, next_left = sorted({round(square.get_x(), 6) for square in squares})[:2]
        drawn = max(0.0, left + 2 * factor - next_left) / (2 * factor)
        touching = factor == 1 / (2 * scale)
        expected = "touch (0 %)" if touching else f"share {100 * drawn:.0f} %"
        assert ax.get_title(loc="left") == f"f = {factor:g}: neighbours {expected}"


def test_range_overlap_has_no_negative_or_zero_factor():
    assert figures.range_overlap(0.25, 4) == 0.5
    for factor in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="factor has to be"):
            figures.range_overlap(factor, 2)


def test_slope_is_the_derivative_that_grid_sample_has():
    row = torch.tensor(slopes.KINKED_ROW, dtype=torch.float64)
    position = torch.linspace(0.05, 4.95, 50, dtype=torch.float64, requires_grad=True)
    x = 2 * position / 5 - 1
    grid = torch.stack([x, torch.zeros_like(x)], -1)[None, None]
    value = F.grid_sample(
        row[None, None, None], grid, padding_mode="border", align_corners=False
    ).flatten()
    (gradient,) = torch.autograd.grad(value.sum(), position)
    at = position.detach().numpy()
    np.testing.assert_allclose(slopes.interpolated(row.numpy(), at), value.detach())
    np.testing.assert_allclose(slopes.slope(row.numpy(), at), gradient, atol=1e-9)


def test_kink_marks_both_starts():
    fig = figures.kink()
    naive, even = named(fig, "naive"), named(fig, "even")
    assert [line.get_xdata().tolist() for line in naive] == [[2.5], [2.5, 2.5]]
    assert naive[1].get_ydata().tolist() == [1, 10]
    starts = (2.5 + initial_positions(2)[0, 0]).tolist()
    assert [line.get_xdata().tolist() for line in even] == [starts, starts]
    assert even[1].get_ydata().tolist() == [1, 10]
    with pytest.raises(ValueError, match="pixel has to be in 0 … 4"):
        figures.kink(pixel=5)


def test_edge_slope_moves_only_what_lies_on_the_slope():
    fig = figures.edge_slope([0, 0, 1, 3, 3])
    (arrows,) = fig.findobj(Quiver)
    assert arrows.X.tolist() == [2, 3]
    assert arrows.U[1] == pytest.approx(2 * arrows.U[0])
    resting = named(fig, "resting")[0]
    assert resting.get_xdata().tolist() == [1, 4]
