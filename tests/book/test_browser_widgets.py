"""The sampling explorer in a real browser, and what all widgets have to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from _browser import PHONE
from _repository import chapter_names, source
from _widgets import EXPLORER, EXPLORERS, NOTEBOOKS, VIEWER, VIEWERS, Explorer
from torch import Tensor

from dysample_lib import initial_positions, point_sample
from dysample_lib.figures import range_overlap

TOY = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
COAST = torch.tensor(
    [[0, 0, 0, 1, 4], [0, 0, 1, 4, 4], [0, 1, 3, 4, 4], [0, 0, 2, 4, 3]],
    dtype=torch.float64,
)


@pytest.fixture
def explorer(open_page):
    def open_(number: str, **options: Any) -> Explorer:
        name = next(n for n in chapter_names() if n.startswith(number))
        return Explorer(open_page(f"notebooks/{name}.html", **options))

    return open_


def read(features: Tensor, walks: dict[int, tuple[float, float]], initial: str):
    """The library's result (s = 2, one group): walks of point 4·pixel + own, the rest
    at their starts."""
    height, width = features.shape
    offsets = initial_positions(2, initial, dtype=torch.float64).reshape(8, 1)
    offsets = offsets.repeat(1, height * width)
    for number, walk in walks.items():
        for axis in (0, 1):
            offsets[4 * axis + number % 4, number // 4] += walk[axis]
    offsets = offsets.view(1, 8, height, width)
    return point_sample(features[None, None], offsets, 2)[0, 0]


def gaps_to_rules(result: Tensor, features: Tensor) -> dict[str, dict[str, float]]:
    """Mean and largest difference to torch's own interpolation."""
    found = {}
    for mode in ("nearest", "bilinear"):
        rule = F.interpolate(features[None, None], scale_factor=2, mode=mode)[0, 0]
        gap = (result - rule).abs()
        found[mode] = {"mean": gap.mean().item(), "max": gap.max().item()}
    return found


def assert_numbers(explorer: Explorer, result: Tensor, features: Tensor) -> None:
    for mode, expected in gaps_to_rules(result, features).items():
        assert explorer.number(mode) == pytest.approx(expected, abs=1e-6)


def test_every_chapter_of_the_ladder_has_its_widgets():
    for name, cells in NOTEBOOKS.items():
        text = "\n".join(map(source, cells))
        assert ('class="sampling-explorer"' in text) == (name in EXPLORERS), name
        assert ('class="step-viewer"' in text) == (name in VIEWERS), name
    assert len(EXPLORERS) == 4 and len(VIEWERS) == 1


def test_chapter_1_opens_on_nearest_and_a_dragged_point_reads_as_the_library(explorer):
    seen = explorer("01")
    assert_numbers(seen, read(TOY, {}, "nearest"), TOY)
    assert seen.number("nearest")["max"] == 0 and seen.number("overlap") == 1
    seen.drag((0.5, 0.5), (0.9, 1.2))
    point = seen.selected()
    assert point["x"] == pytest.approx(0.9, abs=0.02)
    assert point["y"] == pytest.approx(1.2, abs=0.02)
    walk = (point["x"] - 0.5, point["y"] - 0.5)
    for axis, length in zip("xy", walk, strict=True):
        said = seen.root.get_by_label(f"Offset {axis}").get_attribute("aria-valuetext")
        assert said == f"{length:.2f} px", "between two steps of the slider as well"
    result = read(TOY, {0: walk}, "nearest")
    assert point["reads"] == pytest.approx([result[0, 0].item()], abs=1e-6)
    assert_numbers(seen, result, TOY)
    torch.testing.assert_close(seen.result(), result, atol=0.0051, rtol=0)
    assert not seen.visit.errors


def test_chapter_1_a_quarter_of_a_pixel_into_each_corner_is_bilinear(explorer):
    seen = explorer("01")
    seen.root.get_by_label("in every pixel").check()
    corners = [("Left", "Up"), ("Right", "Up"), ("Left", "Down"), ("Right", "Down")]
    for number, (across, along) in enumerate(corners):
        seen.press(f"Shift+Arrow{across}", f"Shift+Arrow{along}")
        if number < 3:
            seen.press("PageDown")
    assert seen.number("bilinear")["max"] == pytest.approx(0, abs=1e-9)
    assert seen.number("nearest")["max"] > 0.1


def test_the_keyboard_reaches_the_map_and_moves_its_points(explorer):
    seen = explorer("02")
    before = seen.selected()
    seen.root.get_by_label("Feature map").focus()
    seen.page.keyboard.press("Shift+Tab")
    assert seen.map.evaluate("node => node === document.activeElement")
    outline = seen.map.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid", "the focus has to be visible"
    scrolled = seen.page.evaluate("scrollY")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "ArrowUp"):
        seen.page.keyboard.press(key)
    assert seen.page.evaluate("scrollY") == scrolled
    point = seen.selected()
    assert point["x"] == pytest.approx(before["x"] + 0.1, abs=1e-9)
    assert point["y"] == pytest.approx(before["y"] + 0.2, abs=1e-9)
    result = read(COAST, {28: (0.1, 0.2)}, "bilinear")
    assert_numbers(seen, result, COAST)
    assert "row 2, column 3" in seen.root.get_by_role("status").inner_text()
    seen.page.keyboard.press("PageDown")
    assert seen.selected()["x"] == pytest.approx(before["x"] + 0.5)
    seen.page.keyboard.press("PageUp")
    seen.page.keyboard.press("Control+Home")  # the browser's
    assert seen.selected() == point
    seen.page.keyboard.press("Home")
    assert [seen.selected()[axis] for axis in "xy"] == [before["x"], before["y"]]
    assert not seen.visit.errors


def test_a_finger_drags_a_point_and_elsewhere_scrolls_the_page(explorer):
    seen = explorer("01", size=PHONE, has_touch=True, is_mobile=True)
    seen.map.evaluate("map => map.scrollIntoView({ block: 'center' })")
    seen.page.wait_for_timeout(500)  # until the header has made way
    fingers = seen.page.context.new_cdp_session(seen.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", place, strict=True)) for place in places]
        event = {"type": kind, "touchPoints": points}
        fingers.send("Input.dispatchTouchEvent", event)
        seen.page.wait_for_timeout(30)

    def swipe(x: float, y: float, way: float) -> float:
        """Six steps of a tenth of a pixel; how far the page has scrolled."""
        before = seen.page.evaluate("scrollY")
        places = [seen.at(x, y + way * step / 10) for step in range(7)]
        touch("touchStart", places[0])
        for place in places[1:]:
            touch("touchMove", place)
        touch("touchEnd")
        seen.page.wait_for_timeout(300)
        return seen.page.evaluate("scrollY") - before

    assert swipe(0.5, 0.5, 1) == 0
    assert seen.selected()["y"] == pytest.approx(1.1, abs=0.05)
    assert swipe(2.5, 2.5, -1) > 0
    assert seen.selected()["y"] == 1.5


def test_chapter_2_opens_on_bilinear_and_the_start_decides(explorer):
    seen = explorer("02")
    assert_numbers(seen, read(COAST, {}, "bilinear"), COAST)
    assert seen.number("bilinear")["max"] == 0 < seen.number("nearest")["max"]
    seen.set("Initial positions", "nearest")
    assert_numbers(seen, read(COAST, {}, "nearest"), COAST)
    assert seen.number("nearest")["max"] == 0 < seen.number("bilinear")["max"]
    seen.root.get_by_role("button", name="Scatter").click()
    assert min(seen.number(rule)["mean"] for rule in ("nearest", "bilinear")) > 0.1


def test_chapter_3_ranges_touch_where_the_text_says_so(explorer):
    seen = explorer("03")
    assert seen.number("overlap") == range_overlap(0.5, 2) == 0.5
    opened = seen.number("crossed")
    alt = seen.page.locator(f"{EXPLORER} .widget-still img").get_attribute("alt")
    assert "{count} of {of} neighbours".format(**opened) in alt
    assert opened["of"] == 8 * 9 + 7 * 10
    seen.set("Scope factor", 0.25)
    assert seen.number("overlap") == 0 and seen.number("crossed")["count"] == 0
    for scale in (3, 4):
        seen.set("Scale", scale)
        seen.root.get_by_role("button", name="Scatter").click()
        assert seen.number("overlap") == pytest.approx(range_overlap(0.25, scale))
        assert seen.number("crossed")["count"] > 0
    seen.set("Scale", 2)
    seen.press(*["ArrowLeft"] * 6)
    assert seen.number("outside") == {"count": 1, "of": 80}


def test_chapter_4_two_sets_of_points_give_what_one_cannot(explorer):
    seen = explorer("04")
    assert [seen.result(c)[0, 1].item() for c in (0, 1)] == [1.0, 4.0]
    for channel, features in enumerate((TOY, 5 - TOY)):
        expected = read(features, {1: (-0.25, 0)}, "bilinear")
        torch.testing.assert_close(seen.result(channel), expected, atol=0.01, rtol=0)
    one = [seen.result(c) for c in (0, 1)]
    seen.set("Groups", 2)
    for channel in (0, 1):  # equal groups are one group
        torch.testing.assert_close(seen.result(channel), one[channel])
    seen.set("Move the points of", 1)
    seen.set("Offset x", 0.25)
    assert [seen.result(c)[0, 1].item() for c in (0, 1)] == [1.0, 3.5]
    assert seen.selected()["reads"] == pytest.approx([3.5])
    assert not seen.visit.errors


@pytest.mark.parametrize("name", sorted({*EXPLORERS, *VIEWERS}))
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_with_widgets_fit_a_phone_and_stay_at_home(open_page, name, dark):
    visit = open_page(f"notebooks/{name}.html", size=PHONE, dark=dark)
    widgets = visit.page.locator(".widget[data-ready]")
    expected = (name in EXPLORERS) + (name in VIEWERS)
    visit.page.wait_for_function(
        f"document.querySelectorAll('.widget[data-ready]').length === {expected}"
    )
    for widget in widgets.all():
        widget.scroll_into_view_if_needed()
        wide = widget.evaluate("node => node.scrollWidth - node.clientWidth")
        assert wide == 0
    assert visit.sideways() == 0
    assert not visit.other_hosts()
    assert not visit.errors


@pytest.mark.parametrize("selector", [EXPLORER, VIEWER])
def test_without_javascript_and_in_print_a_figure_stands_in(open_page, selector):
    name = (EXPLORERS if selector == EXPLORER else VIEWERS)[-1]
    off = open_page(f"notebooks/{name}.html", java_script_enabled=False).page
    root = off.locator(selector)
    assert root.locator("img").is_visible() and root.locator("em").is_visible()
    assert root.locator("img").get_attribute("alt")
    on = open_page(f"notebooks/{name}.html").page
    body, still = on.locator(f"{selector} .widget-body"), on.locator(f"{selector} img")
    body.wait_for()
    assert not still.is_visible()
    on.emulate_media(media="print")
    assert still.is_visible() and not body.is_visible()


@pytest.mark.parametrize(
    ("name", "widget"), [(EXPLORERS[-1], EXPLORER), (VIEWERS[0], VIEWER)]
)
def test_nothing_moves_by_itself(open_page, name, widget):
    visit = open_page(f"notebooks/{name}.html", reduced_motion="reduce")
    visit.page.locator(widget + "[data-ready]").first.wait_for()
    moving = visit.page.evaluate(
        "[...document.querySelectorAll('.widget, .widget *')].map(getComputedStyle)"
        ".filter(s => s.animationName !== 'none' || s.transitionDuration !== '0s')"
        ".length"
    )
    assert moving == 0
