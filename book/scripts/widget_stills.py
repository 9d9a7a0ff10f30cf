"""Take the still pictures of the chapters' widgets: `make stills`.

Each widget of a chapter holds a picture, which stands in for it where no script runs:
in notebooks, in print, without JavaScript. This opens the widget as the chapter does,
in the system's Chromium, and writes that picture into the cell. It is a data URI: a
hosted notebook has no files beside it, and Colab shows no attachments.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

import nbformat
from chromium import chromium
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "_static"
WIDGET = re.compile(
    r'(?P<tag><div class="(?:sampling-explorer|step-viewer)".*?>)\n\n'
    r"!\[.*?\]\[(?P<picture>.*?)\]",
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


def smaller(png: bytes) -> bytes:
    """The picture in 256 colours, the rare ones among them."""
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    out = io.BytesIO()
    few = drawn.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(out, "png", optimize=True)
    return out.getvalue()


def with_picture(source: str, name: str, png: bytes) -> str:
    """A cell's source whose last line defines the picture ``name``."""
    text = re.sub(rf"\n+\[{re.escape(name)}\]: .*", "", source)
    return f"{text}\n\n[{name}]: data:image/png;base64,{b64encode(png).decode()}"


def main() -> int:
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        page = browser.new_page(
            viewport={"width": 720, "height": 900}, device_scale_factor=1.5
        )
        file = Path(folder) / "widget.html"
        for chapter in sorted((ROOT / "notebooks").glob("*.ipynb")):
            notebook = nbformat.read(chapter, as_version=4)
            for cell in notebook.cells:
                for tag, name in WIDGET.findall(cell.source):
                    file.write_text(page_with(tag), encoding="utf-8")
                    page.goto(file.as_uri(), wait_until="networkidle")
                    png = smaller(page.locator(".widget[data-ready]").screenshot())
                    cell.source = with_picture(cell.source, name, png)
                    print(f"{chapter.stem}, {name}: {len(png) // 1000} kB")
            nbformat.write(notebook, chapter)
    return 0


if __name__ == "__main__":
    sys.exit(main())
