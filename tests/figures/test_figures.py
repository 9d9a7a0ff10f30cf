"""The look of the pictures: colours, style, size; and the curves and diagrams."""

from __future__ import annotations

from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from figure_samples import (
    Estimate,
    luminance,
    named,
    texts,
    titles,
)
from matplotlib.colors import to_rgb

from dysample_lib import LADDER, figures
from dysample_lib.figures import style
from dysample_lib.upsamplers import RIVALS, UPSAMPLERS


def test_every_upsampler_has_a_colour_of_its_own_that_shows_on_white():
    # One that is new has the colour of ink until it gets its own.
    assert {*LADDER, *RIVALS} <= set(figures.COLOURS) <= set(UPSAMPLERS)
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


def test_figures_have_the_style_and_leave_the_session_alone(tile):
    before = plt.rcParams["figure.dpi"], plt.rcParams["font.size"]
    fig = figures.cells(tile[0], tile[1], stride=8)
    assert fig.get_facecolor() == (1, 1, 1, 1)
    assert fig.dpi == style.STYLE["figure.dpi"]
    assert (plt.rcParams["figure.dpi"], plt.rcParams["font.size"]) == before
    with plt.rc_context():
        figures.use_style()
        assert plt.rcParams["font.size"] == 11


def test_drawing_leaves_interactive_mode_as_a_notebook_set_it():
    # The inline backend switches it on inside the first call that makes a figure.
    with plt.rc_context({"interactive": False}):
        style.styled(plt.ion)()
        assert plt.isinteractive()


def test_labels_are_the_registry_s():
    assert figures.label("dynamic_scope") == "+ dynamic scope (DySample+)"
    assert figures.label("deconv") == "deconvolution"
    assert figures.label("anything else") == "anything else"


def test_testbed_diagram_states_the_sizes():
    fig = figures.testbed_diagram(96, width=32, channels=64, classes=2)
    written = texts(fig)
    for shape in ("3 × 96 × 96", "64 × 6 × 6", "32 × 48 × 48", "2 × 96 × 96"):
        assert shape in written
    assert len(named(fig, "under test")) == 3


def test_segformer_diagram_brings_every_level_to_the_finest_size():
    fig = figures.segformer_diagram((8, 16, 24), size=96, width=32, classes=5)
    assert len(named(fig, "under test")) == 1 + 2
    written = texts(fig)
    levels = [
        "stride 4\n8 × 24 × 24",
        "stride 8\n16 × 12 × 12",
        "stride 16\n24 × 6 × 6",
    ]
    assert [text for text in written if text.startswith("stride")] == levels
    # The coarsest level passes the middle one's size on its way.
    assert written.count("32 × 24 × 24") == 2 and written.count("32 × 12 × 12") == 1
    assert "joined\n96 × 24 × 24" in written
    assert "bilinear ×4\n5 × 96 × 96" in written
    assert "1×1 classifier\n5 × 24 × 24" in written
    other = texts(figures.segformer_diagram(classes=1, last_layer="1×1 conv"))
    assert "1×1 conv\n1 × 24 × 24" in other
    with pytest.raises(ValueError, match=r"at least two maps, got 1: \(8,\)"):
        figures.segformer_diagram((8,))


def test_pyramid_diagram_marks_one_upsampler_between_two_levels():
    levels = {"fine": (8, 12, 16), "middle": (24, 6, 8), "coarse": (48, 3, 4)}
    fig = figures.pyramid_diagram(levels, 32, after="new")
    assert len(named(fig, "fixed")) == len(named(fig, "under test")) == 2
    assert len(named(fig, "map")) == 2 * 2 * 3
    written = texts(fig)
    assert written.count("coarse\n48 × 3 × 4") == written.count("32 ×\n3 × 4") == 2
    assert written.count("new") == 2 and titles(fig) == ["before", "after"]
    with pytest.raises(ValueError, match=r"at least two maps, got 1: \['fine'\]"):
        figures.pyramid_diagram({"fine": (8, 12, 16)})


def test_detector_diagram_reads_the_pyramid():
    levels = {"fine": (8, 12, 16), "middle": (24, 6, 8), "coarse": (48, 3, 4)}
    fig = figures.detector_diagram(levels, 32, heads=("class and box", "mask"))
    assert len(named(fig, "under test")) == 2
    assert len(named(fig, "map")) == 2 * 3 + 4
    written = texts(fig)
    assert written[-4:] == [
        *("proposals\n(RPN)", "regions\n(RoIAlign)"),
        *("class and box", "mask"),
    ]
    with pytest.raises(ValueError, match=r"at least two maps, got 1: \['fine'\]"):
        figures.detector_diagram({"fine": (8, 12, 16)})


def test_panoptic_diagram_brings_every_level_to_the_finest():
    levels = {"fine": (8, 12, 16), "middle": (24, 6, 8), "coarse": (48, 3, 4)}
    fig = figures.panoptic_diagram(levels, 32, classes=5)
    assert len(named(fig, "under test")) == 2 + (1 + 2)
    written = texts(fig)
    assert "sum\n32 ×\n12 × 16" in written and "1×1 conv\n5 ×\n12 × 16" in written
    with pytest.raises(ValueError, match=r"at least two maps, got 1: \['fine'\]"):
        figures.panoptic_diagram({"fine": (8, 12, 16)})


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
    assert texts(fig) == ["nearest", "48.0", "naive", "60.0 ± 2.0"]
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
    assert texts(fig)[::2] == [figures.label(n) for n in ("bilinear", *LADDER[4:6])]
    assert texts(fig)[1::2] == ["+9.6 [+9.0, +10.2]", "−0.6 [−1.2, −0.01]", "+2.1"]
    (zero,) = named(fig, "zero")
    assert zero.get_xdata()[0] == 0
    low, high = fig.axes[0].get_xlim()
    assert low < -1.2 and high > 10.2


def test_forest_panels_have_one_row_for_a_step_and_a_scale_for_a_setting():
    wide, narrow = Estimate(0.05, 0.04, 0.06, 5), Estimate(0.013, 0.01, 0.016, 5)
    one_run = Estimate(0.02, None, None, 1)
    settings = {"A": {"naive": wide, "grouping": one_run}, "B": {"naive": narrow}}
    fig = figures.forest_panels(settings, "boundary_iou")
    first, second = fig.axes
    assert titles(fig) == ["A", "B"]
    names = [figures.label(name) for name in ("naive", "grouping")]
    assert [text.get_text() for text in first.get_yticklabels()] == names
    intervals = [line.get_xydata().tolist() for line in named(fig, "naive interval")]
    np.testing.assert_allclose(intervals, [[[4, 0], [6, 0]], [[1, 0], [1.6, 0]]])
    assert [line.get_ydata()[0] for line in named(fig, "grouping")] == [1]
    assert first.get_xlim()[1] > 6 and second.get_xlim()[1] < 3
    assert [band.get_extents().width > 0 for band in named(fig, "margin")] == [True] * 2
    with pytest.raises(ValueError, match="at least one step"):
        figures.forest_panels({"A": {}})


def test_plots_are_in_the_metrics_own_unit():
    fig = figures.ladder_plot({"bilinear": Estimate(465.0, 460.0, 470.0, 5)}, "rmse")
    assert named(fig, "bilinear")[0].get_xdata().tolist() == [465]
    assert fig.axes[0].get_xlabel() == "RMSE [m], mean and 95 % interval"
    fig = figures.forest_plot({"bilinear": -3.0}, "rmse")
    assert named(fig, "bilinear")[0].get_xdata().tolist() == [-3]
    assert fig.axes[0].get_xlabel() == "RMSE: difference to the step before [m]"
    history = [{"epoch": 1, "loss": 0.5, "rmse": 470.0}]
    fig = figures.learning_curves({"bilinear": history}, "rmse")
    assert named(fig, "bilinear")[1].get_ydata().tolist() == [470]
    with pytest.raises(ValueError, match="metric has to be one of"):
        figures.ladder_plot({"bilinear": 0.5}, "miou")


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
        figures.group_offsets({"two": learned}),
        figures.sensitivity_plot({"a": {1: 0.1, 8: 0.2}, "b": {1: 0.3}}, xlabel="g"),
        figures.testbed_diagram(),
        figures.segformer_diagram(),
        figures.pyramid_diagram({"fine": (8, 12, 16), "coarse": (24, 6, 8)}),
        figures.detector_diagram({"fine": (8, 12, 16), "coarse": (24, 6, 8)}),
        figures.panoptic_diagram({"fine": (8, 12, 16), "coarse": (24, 6, 8)}),
        figures.ladder_plot(estimates),
        figures.forest_plot(estimates),
    ]
    for number, fig in enumerate(drawn):
        assert fig.get_figwidth() <= 8
        sizes = [text.get_fontsize() for text in fig.findobj(matplotlib.text.Text)]
        assert min(sizes) >= 9
        fig.savefig(tmp_path / f"{number}.png", dpi=40)
