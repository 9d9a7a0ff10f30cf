"""The pictures: every function draws, and what it draws is where it has to be."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from matplotlib.quiver import Quiver

from dysample_lib import LADDER, DySample, figures, initial_positions
from dysample_lib.figures import _inputs, fields, points, slopes, style

RIVALS = ("carafe", "fade", "sapa", "deconv", "pixel_shuffle")


class Estimate(NamedTuple):
    mean: float
    low: float | None
    high: float | None
    n: int


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def tile():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 24, 32), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(24, 32, dtype=torch.uint8)
    truth[5:15, 8:20] = 1
    return image, truth


def named(fig, gid):
    """All artists of a figure whose ``gid`` it is, in drawing order."""
    return [artist for ax in fig.axes for artist in ax.findobj(_has_gid(gid))]


def _has_gid(gid):
    return lambda artist: artist.get_gid() == gid


def titles(fig):
    return [ax.get_title(loc="left") for ax in fig.axes]


def texts(fig):
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def luminance(colour):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


# Style


def test_every_upsampler_has_a_colour_of_its_own_that_shows_on_white():
    assert {*LADDER, *RIVALS} <= set(figures.COLOURS)
    colours = [to_rgb(figures.COLOURS[name]) for name in figures.COLOURS]
    for one, other in combinations(colours, 2):
        assert np.abs(np.subtract(one, other)).max() > 0.1
    for one in colours:
        assert 1.05 / (luminance(one) + 0.05) >= 3


# What deuteranopes and protanopes see, in linear RGB (Machado et al., 2009).
VISIONS = {
    "full": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def lab(colour, vision):
    rgb = np.array(colour)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(vision) @ linear, 0, 1)
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    t = np.array(xyz) @ seen / [0.9505, 1, 1.089]
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_for_every_kind_of_colour_vision(vision):
    seen = [lab(to_rgb(c), VISIONS[vision]) for c in figures.COLOURS.values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= 12


@pytest.mark.parametrize("vision", VISIONS)
def test_the_wheel_tells_its_four_directions_and_the_middle_apart(vision):
    x, y = np.array([1.0, -1, 0, 0, 0]), np.array([0.0, 0, 1, -1, 0])
    seen = [lab(colour, VISIONS[vision]) for colour in fields.wheel(x, y)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= 20


def test_figures_have_the_style_and_leave_the_session_alone(tile):
    before = plt.rcParams["figure.dpi"], plt.rcParams["font.size"]
    fig = figures.cells(tile[0], tile[1], stride=8)
    assert fig.get_facecolor() == (1, 1, 1, 1)
    assert fig.dpi == style.STYLE["figure.dpi"]
    assert (plt.rcParams["figure.dpi"], plt.rcParams["font.size"]) == before
    with plt.rc_context():
        figures.use_style()
        assert plt.rcParams["font.size"] == 11


def test_labels_are_the_registry_s():
    assert figures.label("dynamic_scope") == "+ dynamic scope (DySample+)"
    assert figures.label("deconv") == "deconvolution"
    assert figures.label("anything else") == "anything else"


# The toy


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


# Ranges


@pytest.mark.parametrize("scale", [2, 4])
def test_walking_ranges_print_the_overlap_that_they_draw(scale):
    factors = (1, 0.5, 0.25, 0.1)
    fig = figures.walking_ranges(factors, scale)
    for ax, factor in zip(fig.axes, factors, strict=True):
        squares = ax.findobj(_has_gid("own range"))
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


def test_offset_histogram_counts_what_lies_beyond():
    before = {"static_scope": torch.tensor([-2.0, -0.5, 0.1, 0.2, 3.0, 0.3, 0.4, 0.0])}
    after = {name: 0.25 * value for name, value in before.items()}
    fig = figures.offset_histogram(before, after, touching=0.25)
    assert titles(fig) == ["25.0 % beyond ±1", "25.0 % beyond ±0.25"]
    for ax, bound in zip(fig.axes, (1, 0.25), strict=True):
        lines = ax.findobj(_has_gid("bound"))
        assert sorted(line.get_xdata()[0] for line in lines) == [-bound, bound]
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(100)
        beyond = [bar for bar in ax.patches if abs(bar.get_x() + 1e-9) >= bound - 1e-6]
        dark = sum(bar.get_height() for bar in beyond if bar.get_alpha() == 1)
        assert dark == pytest.approx(25)
    figures.offset_histogram(torch.zeros(2, 3), torch.zeros(2, 3), 0.25)
    with pytest.raises(ValueError, match="same steps"):
        figures.offset_histogram(before, {}, 0.25)


# Slopes


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


# Tiles


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
    assert titles(fig)[2] == "shared (black): 3 of 9\nIoU = 0.333"


# Learned points


@pytest.fixture
def learned():
    torch.manual_seed(0)
    module = DySample(8, groups=2)
    torch.nn.init.normal_(module.offset.weight)
    with torch.no_grad():
        return module.offsets(torch.randn(1, 8, 3, 4))


def test_arrows_end_where_the_sampling_grid_reads(learned):
    from dysample_lib import sampling_grid

    grid = sampling_grid(learned, 2)[0]  # (g, s·h, s·w, 2)
    _, last = points.walks(learned, 2, 2)
    ends = _inputs.interleave(last)  # (2, g, s·h, s·w)
    size = torch.tensor([4.0, 3.0])
    expected = ((grid + 1) / 2 * size).movedim(-1, 0)
    np.testing.assert_allclose(ends, expected, rtol=1e-5, atol=1e-5)


def test_sampling_points_draw_one_arrow_per_point(tile, learned):
    image, truth = tile
    fig = figures.sampling_points(image, learned, 2, 2, group=1, mask=truth)
    (arrows,) = fig.findobj(Quiver)
    first, last = (part[:, 1].reshape(2, -1) for part in points.walks(learned, 2, 2))
    assert arrows.N == 3 * 4 * 4
    np.testing.assert_allclose(arrows.XY.T, first)
    np.testing.assert_allclose((arrows.U, arrows.V), last - first)
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


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_offset_fields_have_a_panel_per_group(tile, groups):
    offsets = initial_positions(2).flatten(1).repeat(1, groups).reshape(-1, 1, 1)
    offsets = offsets.expand(-1, 3, 4).clone()
    offsets[: 4 * groups] += 0.1  # all points of all groups walk to the right
    fig = figures.offset_fields(offsets, 2, groups, tile[0], mask=tile[1])
    panels = [ax for ax in fig.axes if "group" in ax.get_title(loc="left")]
    if groups == 1:
        panels = [ax for ax in fig.axes if ax.get_title(loc="left") == "all channels"]
    assert len(panels) == groups
    right = fields.wheel(np.ones((6, 8)), np.zeros((6, 8)))
    for ax in panels:
        np.testing.assert_allclose(ax.images[0].get_array(), right, atol=1e-3)
    wheels = [ax.get_title() for ax in fig.axes if "edge" in ax.get_title()]
    assert wheels == ["edge: 0.10 pixels"]


def test_interleave_puts_each_point_at_its_place_in_the_output():
    values = torch.randn(4, 3, 5)
    expected = F.pixel_shuffle(values[None], 2)[0, 0]
    np.testing.assert_array_equal(
        _inputs.interleave(values.view(2, 2, 3, 5).numpy()), expected
    )


def test_scope_map_averages_axes_and_groups(tile):
    module = DySample(8, groups=2, scope="dynamic")
    scope = module.walking_range(torch.randn(1, 8, 3, 4))
    fig = figures.scope_map(scope, 2, 2, tile[0], mask=tile[1])
    shown = fig.axes[1].images[0]
    assert shown.get_array().shape == (6, 8)
    np.testing.assert_allclose(shown.get_array(), 0.25)  # sigmoid(0) · 0.5
    low, high = shown.get_clim()
    assert (low + high) / 2 == pytest.approx(0.25)


# Drawings and curves


def test_testbed_diagram_states_the_sizes():
    fig = figures.testbed_diagram(96, width=32, channels=64, classes=2)
    written = texts(fig)
    for shape in ("3 × 96 × 96", "64 × 6 × 6", "32 × 48 × 48", "2 × 96 × 96"):
        assert shape in written
    assert len(named(fig, "under test")) == 3


def test_learning_curves_draw_what_was_measured():
    rows = [{"epoch": e, "loss": 1 / e} for e in range(1, 5)]
    rows[1]["boundary_iou"], rows[3]["boundary_iou"] = 0.5, 0.6
    fig = figures.learning_curves({"nearest": rows, "grouping": rows})
    loss, metric = named(fig, "grouping")
    assert loss.get_xdata().tolist() == [1, 2, 3, 4]
    assert metric.get_xydata().tolist() == [[2, 50], [4, 60]]
    assert metric.get_color() == figures.COLOURS["grouping"]
    assert texts(fig) == ["nearest", "+ grouping"] * 2
    # Names at one height are moved apart.
    heights = [text.xy[1] for text in fig.axes[0].texts]
    assert abs(heights[0] - heights[1]) > 0.03
    assert len(figures.learning_curves({"naive": rows}, "mean_iou").axes) == 1
    with pytest.raises(ValueError, match="at least one row"):
        figures.learning_curves({})


def test_ladder_plot_draws_means_and_intervals():
    fig = figures.ladder_plot(
        {"nearest": 0.48, "naive": Estimate(0.6, 0.58, 0.62, 5)}, "trimap_iou"
    )
    assert named(fig, "naive")[0].get_xdata().tolist() == [60]
    (interval,) = named(fig, "naive interval")
    np.testing.assert_allclose(interval.get_xdata(), [58, 62])
    assert named(fig, "nearest interval") == []
    assert texts(fig) == ["48.0", "60.0 [58.0, 62.0]"]
    with pytest.raises(TypeError, match="naive has to be a number"):
        figures.ladder_plot({"naive": "0.5"})


def test_forest_plot_is_in_percentage_points_around_zero():
    fig = figures.forest_plot(
        {
            "bilinear": Estimate(0.096, 0.09, 0.102, 5),
            "static_scope": Estimate(-0.0061, -0.012, -0.0001, 5),
            "grouping": Estimate(0.021, None, None, 1),
        }
    )
    assert texts(fig) == [
        "+9.6 [+9.0, +10.2]",
        "−0.6 [−1.2, 0.0]",
        "+2.1",
    ]
    (zero,) = named(fig, "zero")
    assert zero.get_xdata()[0] == 0
    low, high = fig.axes[0].get_xlim()
    assert low < -1.2 and high > 10.2


def test_every_figure_fits_a_page_and_saves_without_a_warning(tile, learned, tmp_path):
    image, truth = tile
    estimates = {name: Estimate(0.5, 0.4, 0.6, 5) for name in LADDER}
    drawn = [
        figures.number_tables({"X": torch.eye(2)}),
        figures.number_line(),
        figures.start_points(),
        figures.walking_ranges(),
        figures.kink(),
        figures.edge_slope(),
        figures.cells(image, truth, 8),
        figures.boundary_panels(image, truth, {"nearest": truth}, {"naive": truth}),
        figures.sampling_points(image, learned, 2, 2),
        figures.offset_fields(learned, 2, 2, image),
        figures.testbed_diagram(),
        figures.ladder_plot(estimates),
        figures.forest_plot(estimates),
    ]
    for number, fig in enumerate(drawn):
        assert fig.get_figwidth() <= 8
        sizes = [text.get_fontsize() for text in fig.findobj(matplotlib.text.Text)]
        assert min(sizes) >= 9
        fig.savefig(tmp_path / f"{number}.png", dpi=40)
