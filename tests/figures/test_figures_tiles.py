"""Tiles, boundaries and learned points: every mark is where it has to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from figure_samples import (
    named,
    texts,
    titles,
)
from matplotlib.colors import to_rgb
from matplotlib.quiver import Quiver

from dysample_lib import figures, initial_positions, sampling_grid
from dysample_lib.figures import _inputs, points, style


def test_outline_lies_on_class_boundaries(tile):
    labels = tile[1].numpy().astype(int)
    segments = _inputs.outline(labels)
    assert len(segments) == 2 * (10 + 12)  # the perimeter of the rectangle
    for (x0, y0), (x1, y1) in segments.astype(int):
        if x0 == x1:  # upright: between two columns of one row
            assert labels[min(y0, y1), x0 - 1] != labels[min(y0, y1), x0]
        else:
            assert labels[y0 - 1, min(x0, x1)] != labels[y0, min(x0, x1)]
    labels[labels == 0] = 255
    assert len(_inputs.outline(labels)) == 0


def test_tile_page(tile):
    image, truth = tile
    fig = figures.tile_page(
        image.expand(5, -1, -1, -1), truth.expand(5, -1, -1), "abcde"
    )
    assert [title for title in titles(fig) if title] == list("abcde")
    assert [len(lines.get_segments()) for lines in named(fig, "truth")] == [44] * 5
    with pytest.raises(ValueError, match="equally many"):
        figures.tile_page(image[None], truth.expand(2, -1, -1))


def test_world_bands_joins_neighbours_and_places_tiles():
    world = np.zeros((18, 36, 3), np.uint8)
    fig = figures.world_bands(
        world, [(-180, -20), (-20, 0), (20, 180)], [(0, 20)], {"val": [(10.0, -5.0)]}
    )
    assert len(named(fig, "train band")) == 2
    (dots,) = named(fig, "val tiles")
    assert dots.get_xydata().tolist() == [[10, -5]]
    assert sorted(texts(fig)) == ["train", "train", "val"]


def test_cells_draw_every_border(tile):
    fig = figures.cells(*tile, stride=8)
    lines = [line.get_xydata().tolist() for line in named(fig, "cell")]
    upright = [line[0][0] for line in lines if line[0][0] == line[1][0]]
    flat = [line[0][1] for line in lines if line[0][1] == line[1][1]]
    assert upright == [8, 16, 24] and flat == [8, 16]


def test_boundary_closeups_draw_truth_and_predictions(tile):
    image, truth = tile
    predictions = {"nearest": torch.zeros_like(truth), "grouping": truth}
    fig = figures.boundary_closeups(image, truth, predictions)
    share = 100 * 120 / (24 * 32)
    assert [title for title in titles(fig) if title] == [
        "truth (white)",
        f"nearest: {share:.1f} % wrong",
        "+ grouping (DySample): 0.0 % wrong",
    ]
    predicted = [len(lines.get_segments()) for lines in named(fig, "predicted")]
    assert predicted == [0, 44]
    assert len(named(fig, "truth")) == 3


def test_boundary_panels_tint_wrong_pixels_and_ignore_unknown_ones(tile):
    image, truth = tile
    wrong = truth.clone()
    wrong[0, :4] = 1
    truth[0, 3] = 255
    fig = figures.boundary_panels(image, truth, {"bilinear": wrong}, {"naive": truth})
    shown = fig.axes[2].images[0].get_array()
    tinted = np.all(np.isclose(shown, to_rgb(style.WRONG)), axis=-1)
    assert np.argwhere(tinted).tolist() == [[0, 0], [0, 1], [0, 2]]
    assert titles(fig)[2] == f"bilinear: {100 * 3 / 767:.1f} % wrong"
    zoom = figures.boundary_panels(
        image, truth, {"bilinear": wrong}, {"naive": truth}, zoom=(4, 6, 10, 12)
    )
    assert all(ax.get_xlim() == (6, 18) for ax in zoom.axes[:4])
    assert all(ax.get_ylim() == (14, 4) for ax in zoom.axes[:4])
    for bad in ((20, 0, 10, 10), (0, 0, 0, 5), (-1, 0, 5, 5)):
        with pytest.raises(ValueError, match="zoom has to be"):
            figures.boundary_closeups(image, truth, {}, zoom=bad)
    with pytest.raises(ValueError, match="one entry each"):
        figures.boundary_panels(image, truth, {}, {"naive": truth})
    with pytest.raises(ValueError, match="same height and width"):
        figures.boundary_closeups(image, truth, {"naive": truth[:5]})


def test_boundary_band_panels_state_the_quotient(tile):
    one = torch.zeros(24, 32, dtype=torch.bool)
    other = one.clone()
    one[0, :6], other[0, 3:9] = True, True
    fig = figures.boundary_band_panels(tile[0], one, other)
    assert titles(fig)[2] == "intersection (black) 3\nof union 9: IoU 0.333"


def test_arrows_end_where_the_sampling_grid_reads(learned):
    grid = sampling_grid(learned, 2)[0]  # (g, s·h, s·w, 2)
    _, last = points.sampling_positions(learned, 2, 2)
    ends = torch.tensor(last).reshape(1, -1, 3, 4)  # (2, g, s, s, h, w)
    ends = F.pixel_shuffle(ends, 2).unflatten(1, (2, -1))[0]  # (2, g, s·h, s·w)
    size = torch.tensor([4.0, 3.0])
    expected = ((grid + 1) / 2 * size).movedim(-1, 0)
    np.testing.assert_allclose(ends, expected, rtol=1e-5, atol=1e-5)


def test_sampling_points_draw_one_arrow_per_point(tile, learned):
    image, truth = tile
    fig = figures.sampling_points(image, learned, 2, 2, group=1, mask=truth)
    (arrows,) = fig.findobj(Quiver)
    both = points.sampling_positions(learned, 2, 2)
    first, last = (positions[:, 1].reshape(2, -1) for positions in both)
    assert arrows.N == 3 * 4 * 4
    np.testing.assert_allclose(arrows.XY.T, first)
    np.testing.assert_allclose((arrows.U, arrows.V), last - first)
    longer = figures.sampling_points(image, learned, 2, 2, magnify=4)
    assert longer.findobj(Quiver)[0].scale == arrows.scale / 4
    assert "4 times as long" in longer.axes[0].get_title(loc="left")
    # The mask's outline is in feature pixels: 24 × 32 pixels over 3 × 4.
    (coast,) = named(fig, "truth")
    corners = np.concatenate(coast.get_segments())
    np.testing.assert_allclose(corners.min(0), [8 / 8, 5 / 8])
    with pytest.raises(ValueError, match="group has to be in 0 … 1"):
        figures.sampling_points(image, learned, 2, 2, group=2)
    with pytest.raises(ValueError, match="has to have 2·groups·scale² = 8 channels"):
        figures.sampling_points(image, learned, 2, 1)


def test_many_arrows_are_thinned_out_by_whole_pixels():
    offsets = initial_positions(2).view(1, 8, 1, 1).expand(1, 8, 40, 40)
    fig = figures.sampling_points(torch.zeros(40, 40), offsets)
    (arrows,) = fig.findobj(Quiver)
    assert arrows.N == 20 * 20 * 4
    assert not arrows.U.any() and not arrows.V.any()


def test_scope_map_averages_over_a_pixel(tile):
    scope = torch.rand(1, 16, 3, 4) / 2
    fig = figures.scope_map(scope, 2, 2, tile[0], mask=tile[1])
    shown = fig.axes[1].images[0]
    np.testing.assert_allclose(shown.get_array(), scope[0].mean(0), rtol=1e-5)
    low, high = shown.get_clim()
    assert (low + high) / 2 == pytest.approx(0.25)
