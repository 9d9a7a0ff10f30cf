"""Sphinx extension: mend what the theme gets wrong, in the pages as they are written.

The toggles of its sidebar have no name that a screen reader could say. Pictures do not
say how large they are, so that the text below them jumps when they arrive.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from sphinx.application import Sphinx

TOGGLE = '<summary><span class="toctree-toggle"'
PICTURE = re.compile(
    r"""<img (?![^>]* (?:width|height)=)(?=[^>]*src="([^":]*_images/[^":]+\.png)")"""
)


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Mend every page, once all are written."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):

        def sized(found: re.Match[str], folder: Path = page.parent) -> str:
            header = (folder / found[1]).read_bytes()[16:24]
            width, height = struct.unpack(">II", header)
            return f'<img width="{width}" height="{height}" '

        text = page.read_text(encoding="utf-8")
        text = text.replace(TOGGLE, TOGGLE.replace(">", ' aria-label="Its pages">', 1))
        page.write_text(PICTURE.sub(sized, text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
