"""Take the still pictures of the chapters' widgets: `make stills`.

Each widget of a chapter names a picture inside it, which stands in for it where no
script runs: in notebooks, in print, without JavaScript. This opens the widget as the
chapter does, in the system's Chromium, and writes that picture.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

from chromium import chromium

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"
WIDGET = re.compile(
    r'(<div class="(?:sampling-explorer|step-viewer)".*?>)\n\n'  # the tag, and in it
    r"!\[.*?\]\((\.\./book/_static/\S+?)\)",  # the picture
    re.S,
)
STYLES = ("widgets/widget.css", "explorer/explorer.css", "viewer/viewer.css")
SCRIPTS = ["widgets/widget.js"]
SCRIPTS += [f"explorer/explorer{part}.js" for part in ("-maths", "-model", "-draw", "")]
SCRIPTS += ["viewer/viewer.js"]
# What a reader would press or drag has no place in a still picture.
HIDDEN = (
    ".widget-controls, .widget-control, figcaption[id] { display: none !important }"
)


def widgets() -> dict[Path, str]:
    """Picture → the tag of its widget, for all chapters."""
    found = {}
    for chapter in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
            for tag, picture in WIDGET.findall("".join(cell["source"])):
                found[(chapter.parent / picture).resolve()] = tag
    return found


def page_with(tag: str) -> str:
    """A page that holds one widget and nothing else."""
    at = STATIC.as_uri()
    styles = [f'<link rel="stylesheet" href="{at}/{style}">' for style in STYLES]
    scripts = [f'<script src="{at}/{script}"></script>' for script in SCRIPTS]
    head = [
        '<!doctype html><meta charset="utf-8">',
        *styles,
        f"<style>{HIDDEN}</style>",
    ]
    return "\n".join([*head, f"{tag}</div>", *scripts])


def main() -> int:
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        page = browser.new_page(
            viewport={"width": 720, "height": 900}, device_scale_factor=1.5
        )
        for picture, tag in widgets().items():
            file = Path(folder) / "widget.html"
            file.write_text(page_with(tag), encoding="utf-8")
            page.goto(file.as_uri(), wait_until="networkidle")
            page.locator(".widget[data-ready]").screenshot(path=picture)
            print(f"{picture.name}: {picture.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
