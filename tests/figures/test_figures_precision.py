"""The picture of rounding errors: every error where it was measured."""

from __future__ import annotations

import pytest
from figure_samples import named, titles
from matplotlib.text import Text

from dysample_lib import figures

OURS = {64: 0.01, 16: 0.02, 256: 0.01}
THEIRS = {16: 0.02, 64: 3.0}


def test_every_error_is_drawn_in_its_panel():
    errors = {
        "float16": {"ours": OURS},
        "bfloat16": {"ours": OURS, "theirs": THEIRS},
    }
    fig = figures.error_against_width(errors, {"bfloat16": 0.1})
    assert titles(fig) == ["float16", "bfloat16"]
    left, right = named(fig, "ours")
    for line in (left, right):  # in the order of the widths
        assert line.get_xydata().tolist() == [[16, 0.02], [64, 0.01], [256, 0.01]]
    (theirs,) = named(fig, "theirs")
    assert theirs.axes.get_title(loc="left") == "bfloat16"
    assert theirs.get_xydata().tolist() == [[16, 0.02], [64, 3.0]]
    (limit,) = named(fig, "limit")
    assert limit.axes is theirs.axes
    assert set(limit.get_ydata()) == {0.1}
    for ax in fig.axes:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    # One scale for all panels, or they could not be compared.
    assert len({ax.get_ylim() for ax in fig.axes}) == 1


def test_the_legend_names_each_look_once_and_lies_on_the_figure():
    errors = {
        dtype: {"DySample": OURS, "published": THEIRS, "published, autocast": THEIRS}
        for dtype in ("float32", "float16", "bfloat16")
    }
    fig = figures.error_against_width(errors, dict.fromkeys(errors, 0.1))
    fig.canvas.draw()
    (legend,) = fig.legends
    written = [text.get_text() for text in legend.get_texts()]
    assert written == ["DySample", "published", "published, autocast", "limit"]
    assert fig.get_figwidth() <= 8
    assert min(text.get_fontsize() for text in fig.findobj(Text)) >= 9
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= fig.bbox.x1
    looks = set()
    for name, handle in zip(written[:3], legend.legend_handles, strict=False):
        drawn = named(fig, name)
        assert len(drawn) == 3
        assert {line.get_color() for line in drawn} == {handle.get_color()}
        looks.add((handle.get_color(), handle.get_marker()))
    assert len(looks) == 3


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({}, "1 to 3 panels, got 0"),
        ({key: {"s": OURS} for key in "abcd"}, "1 to 3 panels, got 4"),
        ({"a": {}}, "1 to 3 series, got 0"),
        ({"a": dict.fromkeys("pqrs", OURS)}, "1 to 3 series, got 4"),
        ({"a": {"s": OURS}, "b": {}}, r"errors\['b'\] has to hold a series"),
        ({"a": {"s": {}}}, r"errors\['a'\]\['s'\] has to hold errors above 0, got {}"),
        ({"a": {"s": {8: 0.0}}}, "errors above 0, got {8: 0.0}"),
        ({"a": {"s": {8: float("nan")}}}, "errors above 0, got {8: nan}"),
    ],
)
def test_what_cannot_be_drawn_is_refused(errors, message):
    with pytest.raises(ValueError, match=message):
        figures.error_against_width(errors)
