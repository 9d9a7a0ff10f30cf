"""Sphinx extension: chapters are numbered as their file names are, from 0.

Sphinx numbers the pages of a numbered toctree from 1, and each toctree anew, so that
``notebooks/03_scope_factor.ipynb`` would be chapter 4 and its figures 4.1, 4.2, …
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def count_from_zero(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put each file's number first wherever Sphinx has noted a number of its page."""
    for page, title in env.titles.items():
        found = re.search(r"/(\d+)_[^/]*$", page)
        if found is None:
            continue
        chapter = int(found[1])
        sections = env.toc_secnumbers.get(page, {})
        for anchor, number in sections.items():
            if number:  # headings below the numbered depth have none
                sections[anchor] = (chapter, *number[1:])
        for node in (title, *env.tocs[page].findall(nodes.reference)):
            if node.get("secnumber"):
                node["secnumber"] = (chapter, *node["secnumber"][1:])
        for figures in env.toc_fignumbers.get(page, {}).values():
            figures.update({a: (chapter, n) for n, a in enumerate(figures, start=1)})
    return []


def setup(app: Sphinx) -> dict[str, bool]:
    # Sphinx itself counts at priority 500.
    app.connect("env-get-updated", count_from_zero, priority=900)
    return {"parallel_read_safe": True}
