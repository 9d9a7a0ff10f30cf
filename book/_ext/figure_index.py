"""Sphinx extension: the page ``figure_index`` ends with a list of all figures, linked.

A figure's number is known once all pages are read, so the list is made after that.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Append the list: each page in reading order, and below it its figures."""
    if not docname.endswith("figure_index"):
        return

    def link(page: str, anchor: str, text: str, rest: str = "") -> nodes.paragraph:
        target = make_refnode(app.builder, docname, page, anchor, nodes.Text(text))
        return nodes.paragraph("", "", target, nodes.Text(rest))

    labels = app.env.domaindata["std"]["labels"].values()
    captions = {(page, anchor): caption for page, anchor, caption in labels}
    pages = nodes.bullet_list()
    for page, kinds in app.env.toc_fignumbers.items():
        figures = nodes.bullet_list()
        for anchor, number in kinds.get("figure", {}).items():
            name = app.config.numfig_format["figure"] % ".".join(map(str, number))
            first = re.split(r"(?<=[.?!])\s+(?=[A-Z])", captions[page, anchor])[0]
            entry = link(page, anchor, name, f": {first}")
            figures += nodes.list_item("", entry)
        if len(figures):
            title = app.env.titles[page]
            chapter = "".join(f"{number}. " for number in title.get("secnumber", ()))
            entry = link(page, "", chapter + title.astext())
            pages += nodes.list_item("", entry, figures)
    next(doctree.findall(nodes.section)).append(pages)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True}
