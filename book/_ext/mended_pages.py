"""Sphinx extension: mend what the theme gets wrong, in the pages as they are written.

Its icons come as a font and, once more and ten times the size, as a script. The
toggles of its sidebar have no name that a screen reader could say. Pictures do not say
how large they are, so that the text below them jumps when they arrive.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from sphinx.application import Sphinx

MENDS = {
    r"\s*<script [^>]*\bfontawesome\.js\b[^>]*></script>": "",
    r'<summary>(?=<span class="toctree-toggle")': '<summary aria-label="Its pages">',
}
PICTURE = re.compile(
    r"<img (?![^>]* (?:width|height)=)"
    r"""(?=[^>]*src="([^":]*_images/[^":]+\.png)")"""
)


def with_sizes(text: str, folder: Path) -> str:
    """Give each PNG of a page in ``folder`` its width and height, in pixels."""

    def add(found: re.Match[str]) -> str:
        file = folder / found[1]
        if not file.is_file():
            return found[0]
        width, height = struct.unpack(">II", file.read_bytes()[16:24])
        return f'<img width="{width}" height="{height}" '

    return PICTURE.sub(add, text)


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Mend every page, once all are written."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for wrong, right in MENDS.items():
            text = re.sub(wrong, right, text)
        path.write_text(with_sizes(text, path.parent), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
