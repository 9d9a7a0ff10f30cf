"""The widgets of the chapters, as their tests drive them, and the viewer's data."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import torch
from _browser import Visit
from _repository import ROOT, chapter_names, read_notebook
from torch import Tensor

EXPLORER, VIEWER = ".sampling-explorer", ".step-viewer"
DATA = ROOT / "book" / "_static" / "viewer"
NOTEBOOKS = {
    name: read_notebook(ROOT / "notebooks" / f"{name}.ipynb")["cells"]
    for name in chapter_names()
}


@cache
def viewer_data() -> dict[str, Any]:
    """The exported data, without the assignment that makes them a script."""
    text = (DATA / "steps.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.LEARNED_STEPS = ").rstrip(";\n"))


def steps_by_name() -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in viewer_data()["steps"]}


EXPLORERS = sorted(name for name in NOTEBOOKS if "01" <= name[:2] <= "04")
VIEWERS = [name for name in NOTEBOOKS if name.startswith("05")]


class Explorer:
    """The explorer of one chapter, and what it shows."""

    def __init__(self, visit: Visit) -> None:
        self.page, self.visit = visit.page, visit
        self.root = self.page.locator(EXPLORER)
        self.root.scroll_into_view_if_needed()
        self.map = self.root.locator("svg.explorer-points")

    def number(self, name: str) -> Any:
        value = self.root.locator(f"[data-number={name}]").get_attribute("data-value")
        return json.loads(value)

    def selected(self) -> dict[str, Any]:
        """Where the selected point is, in pixels, and what it reads."""
        status = self.root.get_by_role("status").get_attribute("data-value")
        return json.loads(status)

    def result(self, channel: int = 0) -> Tensor:
        """What is read, to two decimals, as the picture says it to a screen reader."""
        picture = self.root.locator(".explorer-row").nth(channel).locator("svg").first
        label = picture.get_attribute("aria-label").replace("−", "-")
        values = [float(text) for text in label.split(": ")[1].split(", ")]
        side = int(len(values) ** 0.5)
        return torch.tensor(values, dtype=torch.float64).view(side, side)

    def set(self, label: str, to: Any) -> None:
        control = self.root.get_by_label(re.compile(f"^{label}"))
        if control.evaluate("node => node.type") == "range":
            control.fill(str(to))
        else:
            control.select_option(str(to))

    def press(self, *keys: str) -> None:
        self.map.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the small map is."""
        return tuple(
            self.map.evaluate(
                "(map, [x, y]) => { const p = new DOMPoint(100 * x, 100 * y)"
                ".matrixTransform(map.getScreenCTM()); return [p.x, p.y]; }",
                [x, y],
            )
        )

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=4)
        self.page.mouse.up()


class Viewer:
    """The viewer of one chapter, and what it says."""

    def __init__(self, visit: Visit) -> None:
        self.page, self.visit = visit.page, visit
        self.root = self.page.locator(VIEWER + "[data-ready]")
        self.root.scroll_into_view_if_needed()
        self.bar = self.root.get_by_label(re.compile("^Where left meets right"))

    def remark(self, side: str) -> str:
        return self.root.locator(f"dd[data-side={side}]").inner_text()

    def clip(self) -> str:
        side = self.root.locator(".viewer-right")
        return side.evaluate("node => getComputedStyle(node).clipPath")

    def set(self, label: str, to: Any) -> None:
        box = self.root.get_by_role("combobox", name=label, exact=True)
        box.select_option(str(to))
