"""The picture of cost: bubbles."""

from __future__ import annotations

import re
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from cost_samples import sample_cost
from figure_samples import Estimate, named, texts
from matplotlib.colors import to_hex

from dysample_lib import figures
from dysample_lib.upsamplers import LADDER, RIVALS

SHOWN = (*LADDER, *RIVALS)


def all_costs():
    """Every upsampler's, some of them at nearly the same place."""
    return [
        sample_cost(name, flops_layers=i * 10**8, forward_ms=10 + 4 * i**2)
        for i, name in enumerate(SHOWN)
    ]


def all_scores():
    means = {name: (0.55, 0.6, 0.59, 0.57)[i % 4] for i, name in enumerate(SHOWN)}
    return {name: Estimate(m, m - 0.005, m + 0.005, 5) for name, m in means.items()}


def test_bubbles_stand_at_latency_and_accuracy_with_areas_of_operations():
    costs = [
        sample_cost("grouping", flops_layers=10**9, flops_reading=0, forward_ms=20.0),
        sample_cost("sapa", flops_layers=3 * 10**9, flops_reading=0, forward_ms=80.0),
    ]
    scores = {"grouping": Estimate(0.5, 0.48, 0.53, 5), "sapa": 0.6, "naive": 0.1}
    fig = figures.cost_bubbles(costs, scores, title="all of them")
    (ax,) = fig.axes
    areas = []
    for cost, y in zip(costs, (50, 60), strict=True):
        (dot,) = named(fig, cost.upsampler)
        assert dot.get_xydata().tolist() == [[cost.forward_ms, y]]
        (bubble,) = named(fig, f"{cost.upsampler} flops")
        assert bubble.get_offsets().tolist() == [[cost.forward_ms, y]]
        assert to_hex(bubble.get_facecolor()[0]) == figures.COLOURS[cost.upsampler]
        areas.append(bubble.get_sizes()[0])
    assert areas[1] == pytest.approx(3 * areas[0])
    (interval,) = named(fig, "grouping interval")
    np.testing.assert_allclose(interval.get_ydata(), [48, 53])
    # SAPA reads a guide, and is told apart by a hollow dot, a broken edge and its name.
    assert texts(fig) == ["DySample", "SAPA-B, guided"]
    names = [cost.upsampler for cost in costs]
    dots = [named(fig, name)[0] for name in names]
    bubbles = [named(fig, f"{name} flops")[0] for name in names]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True]
    assert [b.get_linewidth()[0] > 0 for b in bubbles] == [False, True]
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "forward [ms]"
    assert ax.get_title(loc="left") == "all of them"
    written = fig.get_supxlabel().replace("\n", " ")
    assert (
        "Some Processor, 2 threads, allocator: default, torch 2.9.0, medians of 9"
        in written
    )


def test_the_legend_s_circles_have_the_areas_that_they_name():
    costs = [sample_cost("deconv", flops_layers=4 * 10**9, flops_reading=0)]
    fig = figures.cost_bubbles(costs, {"deconv": 0.5})
    (bubble,) = named(fig, "deconv flops")
    (legend,) = fig.legends
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        named_flops = float(text.get_text().removesuffix(" GFLOPs"))
        area = np.pi * (handle.get_markersize() / 2) ** 2
        assert area / bubble.get_sizes()[0] == pytest.approx(named_flops / 4)


def test_training_can_be_the_latency():
    fig = figures.cost_bubbles(
        [sample_cost()], {"grouping": 0.5}, latency="training_ms", metric="mean_iou"
    )
    assert named(fig, "grouping")[0].get_xdata().tolist() == [67.891]
    assert fig.axes[0].get_xlabel() == "forward + backward [ms]"
    assert fig.axes[0].get_ylabel() == "mean IoU [%]"


def test_each_machine_has_a_panel_that_bears_its_name():
    here = [sample_cost(name) for name in ("grouping", "sapa")]
    gpu = {"device": "cuda", "device_name": "Some GPU"}
    there = [sample_cost(cost.upsampler, **gpu, forward_ms=0.5) for cost in here]
    fig = figures.cost_bubbles([*here, *there], {"grouping": 0.5, "sapa": 0.6})
    one, other = fig.axes
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles == ["Some Processor", "Some GPU"]
    x = [line.get_xdata()[0] for line in named(fig, "grouping")]
    assert x == [12.345, 0.5]
    assert (one.get_ylabel(), other.get_ylabel()) == ("boundary IoU [%]", "")
    assert len(texts(fig)) == 4
    written = fig.get_supxlabel().replace("\n", " ")
    assert "Some Processor, 2 threads" in written and "; 256 × 120" in written


def test_names_do_not_cover_each_other_or_leave_the_plot():
    fig = figures.cost_bubbles(all_costs(), all_scores())
    fig.draw_without_rendering()
    (ax,) = fig.axes
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert len(boxes) == len(SHOWN)
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), (one, other)
    for name, box in boxes.items():
        assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1, name


@pytest.mark.parametrize(
    ("costs", "options", "message"),
    [
        ([], {}, "costs has to hold at least one, got none"),
        ([sample_cost(), sample_cost("sapa")], {}, "scores has to have sapa, got ['gr"),
        ([sample_cost(), sample_cost(width=9)], {}, "costs has to be of maps of one"),
        ([sample_cost()], {"latency": "weights"}, "latency has to be one of 'forward_"),
        (
            [sample_cost(flops_layers=0, flops_reading=0)],
            {},
            "costs has to hold at least one with operations, got none",
        ),
    ],
)
def test_bubbles_that_cannot_be_compared_are_refused(costs, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        figures.cost_bubbles(costs, {"grouping": 0.5}, **options)


def test_the_pictures_of_cost_fit_a_page_and_save_without_a_warning(tmp_path):
    drawn = [
        figures.cost_bubbles(all_costs(), all_scores()),
    ]
    for number, fig in enumerate(drawn):
        assert fig.get_figwidth() <= 8
        assert fig.get_facecolor() == (1, 1, 1, 1)
        sizes = [text.get_fontsize() for text in fig.findobj(matplotlib.text.Text)]
        assert min(sizes) >= 9
        fig.savefig(tmp_path / f"{number}.png", dpi=40)
