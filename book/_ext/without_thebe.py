"""Leave out the scripts of a button that this book does not have.

Sphinx-thebe comes with the book's tools and adds its scripts to every page, switched
off or not. One of them comes twice, and browsers report the second as an error.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take Thebe's scripts and style sheets off one page."""
    for kind in ("script_files", "css_files"):
        kept = [
            file
            for file in context[kind]
            if "thebe" not in f"{file.filename} {file.attributes}".lower()
        ]
        context[kind] = kept


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
