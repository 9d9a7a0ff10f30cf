"""Sphinx extension: chapters are numbered as their file names are, from 0.

Sphinx numbers the pages of a numbered toctree from 1, and each toctree anew, so that
``notebooks/03_scope_factor.ipynb`` would be chapter 4 and its figures 4.1, 4.2, …
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

number_figures = TocTreeCollector.assign_figure_numbers


def as_the_file(page: str, number: Any) -> Any:
    """Put the file's number first in a section number; none stays none."""
    found = re.search(r"(?:^|/)(\d+)_[^/]*$", page)
    if not number or not found:
        return number
    return type(number)([int(found.group(1)), *number[1:]])


def count_from_zero(env: BuildEnvironment) -> None:
    """Renumber chapters wherever Sphinx has noted their numbers."""
    for page, sections in env.toc_secnumbers.items():
        for anchor, number in sections.items():
            sections[anchor] = as_the_file(page, number)
        for node in (env.titles[page], *env.tocs[page].findall(nodes.reference)):
            if "secnumber" in node:
                node["secnumber"] = as_the_file(page, node["secnumber"])


def number_figures_from_zero(self: TocTreeCollector, env: BuildEnvironment) -> Any:
    # Called once a build, between the numbering of sections and that of figures.
    count_from_zero(env)
    return number_figures(self, env)


def setup(app: Sphinx) -> dict[str, bool]:
    TocTreeCollector.assign_figure_numbers = (  # type: ignore[method-assign]
        number_figures_from_zero
    )
    return {"parallel_read_safe": True}
