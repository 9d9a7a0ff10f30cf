"""Take the still pictures of the sampling explorer: `make explorer`.

Each chapter that has an explorer names a picture inside it, which stands in for it
where no script runs: in notebooks, in print, without JavaScript. This opens it as
the chapter does, in the system's Chromium, and writes that picture.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"
EXPLORER = re.compile(
    r'(<div class="sampling-explorer".*?>)\n\n'  # the tag, and the picture inside it
    r"!\[.*?\]\((\.\./book/_static/\S+?)\)",
    re.S,
)
STYLES = ("widgets/widget.css", "explorer/explorer.css")
SCRIPTS = ["widgets/widget.js"]
SCRIPTS += [f"explorer/explorer{part}.js" for part in ("-maths", "-model", "-draw", "")]
# What a reader would press or drag has no place in a still picture.
HIDDEN = ".widget-controls, .explorer figcaption[id] { display: none }"


def explorers() -> dict[Path, str]:
    """Picture → the tag of its explorer, for all chapters."""
    found = {}
    for chapter in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
            for tag, picture in EXPLORER.findall("".join(cell["source"])):
                found[(chapter.parent / picture).resolve()] = tag
    return found


def main() -> int:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        print(f"No browser is installed (looked for {', '.join(names)}).")
        return 1
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, chromium_sandbox=False
        )
        page = chromium.new_page(
            viewport={"width": 720, "height": 900}, device_scale_factor=1.5
        )
        for picture, tag in explorers().items():
            page.set_content(f"<!doctype html><meta charset=utf-8>{tag}</div>")
            for style in STYLES:
                page.add_style_tag(path=STATIC / style)
            page.add_style_tag(content=HIDDEN)
            for script in SCRIPTS:
                page.add_script_tag(path=STATIC / script)
            page.locator(".widget").screenshot(path=picture)
            print(f"{picture.name}: {picture.stat().st_size // 1000} kB")
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
