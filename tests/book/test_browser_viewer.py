"""The viewer of learned offsets in a real browser."""

from __future__ import annotations

import re

import pytest
import torch
from _browser import PHONE, WIDE
from _widgets import VIEWERS, Viewer, steps_by_name, viewer_data

from dysample_lib import initial_positions


@pytest.fixture
def viewer(open_page):
    return lambda **options: Viewer(
        open_page(f"notebooks/{VIEWERS[0]}.html", **options)
    )


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_slider_between_two_steps_is_moved_by_key_and_by_hand(viewer, size):
    seen = viewer(size=size)
    assert seen.clip() == "inset(0px 0px 0px 50%)"
    seen.bar.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        seen.page.keyboard.press(key)
    assert seen.bar.input_value() == "51"
    assert seen.clip() == "inset(0px 0px 0px 51%)"
    seen.page.keyboard.press("Home")
    assert seen.clip() in ("inset(0px 0px 0px 0%)", "inset(0px)")
    box = seen.root.locator(".viewer-stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    seen.page.mouse.move(box["x"] + 5, middle)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=3)
    seen.page.mouse.up()
    assert abs(int(seen.bar.input_value()) - 80) <= 1
    seen.page.mouse.move(box["x"] + 0.5 * box["width"], middle)  # not held any more
    assert abs(int(seen.bar.input_value()) - 80) <= 1
    seen.page.mouse.click(box["x"] + 0.3 * box["width"], middle)
    assert abs(int(seen.bar.input_value()) - 30) <= 1
    assert not seen.visit.errors


def test_the_viewer_says_what_was_measured(viewer):
    seen = viewer()
    steps = steps_by_name()
    side = viewer_data()["tile"][0]
    for show, file in (("image", "tile"), ("truth", "truth")):
        seen.set("Show", show)
        shown = seen.root.locator(".viewer-left image").get_attribute("href")
        assert shown.endswith(f"/{file}.png")
    for show in ("prediction", "error"):
        seen.set("Show", show)
        for name, step in steps.items():
            seen.set("Left step", name)
            wrong = f"{100 * step['wrong'] / side**2:.1f} % of the tile's pixels wrong"
            assert wrong in seen.remark("left")
            score = f"boundary IoU on all validation tiles {100 * step['score']:.1f} %"
            assert score in seen.remark("left")
            images = seen.root.locator(".viewer-left image")
            assert images.get_attribute("href").endswith(f"{name}-{show}.png")
    seen.page.wait_for_load_state("networkidle")
    assert not seen.visit.errors


def test_the_viewer_draws_the_walks_that_were_learned(viewer):
    seen = viewer()
    data, steps = viewer_data(), steps_by_name()
    side = data["tile"][0]
    seen.set("Show", "points")
    for name, step in steps.items():
        seen.set("Right step", name)
        for level, (height, width) in enumerate(data["sizes"]):
            seen.set("Upsampler", level)
            group = 1 if step["groups"] > 1 else 0
            if group:
                seen.set("Group", group)
            path = seen.root.locator(".viewer-right .viewer-ends").get_attribute("d")
            assert path.count("M") == 4 * height * width
            if not step["levels"]:
                assert "no point moves" in seen.remark("right")
                continue
            walks = torch.tensor(step["levels"][level]["walks"]) / data["unit"]
            walks = walks.view(2, step["groups"], -1)
            # Where the points read, in pixels of the tile: start, walk, and the cell.
            point = walks[:, group].view(2, 2, 2, height, width)  # (xy, s, s, h, w)
            start = initial_positions(2, step["initial"]).view(2, 2, 2, 1, 1)
            cell = torch.meshgrid(
                torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy"
            )
            at = torch.stack(cell).view(2, 1, 1, height, width) + start + point
            at = at * torch.tensor([side / width, side / height]).view(2, 1, 1, 1, 1)
            drawn = [float(n) for n in re.findall(r"M(\S+) (\S+?)h0", path) for n in n]
            torch.testing.assert_close(
                torch.tensor(drawn).view(-1, 2), at.flatten(1).T, atol=0.006, rtol=0
            )
            length = walks[:, group].norm(dim=0)
            text = f"median {length.quantile(0.5):.2f}, longest {length.max():.2f}"
            assert text in seen.remark("right")
    assert not seen.visit.errors


def test_scope_maps_are_there_for_dynamic_scope(viewer):
    seen = viewer()
    step = steps_by_name()["dynamic_scope"]
    assert "the same factor everywhere: 0.25" in seen.remark("left")
    for number, level in enumerate(step["levels"]):
        seen.set("Upsampler", number)
        ends = "ranges from {lowest:.2f} to {highest:.2f}".format(**level["ranges"])
        assert ends in seen.remark("right")
        image = seen.root.locator(".viewer-right image").get_attribute("href")
        assert image.endswith(f"dynamic_scope-ranges-{number + 1}.png")
    assert not seen.visit.errors
