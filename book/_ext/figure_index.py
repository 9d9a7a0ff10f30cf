"""Sphinx extension: ``{figure-index}`` lists every figure of the book, linked.

A figure's number is known once all pages are read, so the list is made after that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode


class figure_index(nodes.General, nodes.Element):
    """Where the list goes."""


class FigureIndex(SphinxDirective):
    """The directive; it takes nothing."""

    def run(self) -> list[nodes.Node]:
        return [figure_index()]


def first_sentence(caption: str) -> str:
    """A caption without what it explains after its first full stop."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", caption, maxsplit=1)[0]


def figures(app: Sphinx) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(page, its figures), in reading order; a figure is (anchor, number, caption)."""
    labels = app.env.domaindata["std"]["labels"].values()
    captions = {(page, anchor): caption for page, anchor, caption in labels}
    form = app.config.numfig_format["figure"]
    for page, numbers in app.env.toc_fignumbers.items():
        found = [
            (anchor, form % ".".join(map(str, number)), captions[page, anchor])
            for anchor, number in numbers.get("figure", {}).items()
        ]
        if found:
            yield page, found


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the list where the directive stood."""

    def link(page: str, anchor: str, text: str) -> nodes.paragraph:
        target = make_refnode(app.builder, docname, page, anchor, nodes.Text(text))
        return nodes.paragraph("", "", target)

    for place in list(doctree.findall(figure_index)):
        pages = nodes.bullet_list()
        for page, found in figures(app):
            entries = nodes.bullet_list()
            for anchor, number, caption in found:
                entry = link(page, anchor, number)
                entry += nodes.Text(f": {first_sentence(caption)}")
                entries += nodes.list_item("", entry)
            number = app.env.toc_secnumbers.get(page, {}).get("")
            name = app.env.titles[page].astext()
            title = link(page, "", f"{number[0]}. {name}" if number else name)
            pages += nodes.list_item("", title, entries)
        place.replace_self(pages)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(figure_index)
    app.add_directive("figure-index", FigureIndex)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True}
