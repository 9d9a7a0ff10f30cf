"""Sphinx extension: chapters are numbered from 0, as their file names are.

Sphinx numbers the pages of a numbered toctree from 1, so that
``notebooks/03_scope_factor.ipynb`` would be chapter 4 and its figures 4.1, 4.2, …
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector


def _less_one(number: Any) -> Any:
    """Take one off the first component; numbers stay tuples, lists or empty."""
    return type(number)([number[0] - 1, *number[1:]]) if number else number


def setup(app: Sphinx) -> dict[str, bool]:
    assign_from_one = TocTreeCollector.assign_section_numbers
    if getattr(assign_from_one, "counts_from_zero", False):  # a second build
        return {"parallel_read_safe": True}

    def assign(self: TocTreeCollector, env: BuildEnvironment) -> list[str]:
        changed = assign_from_one(self, env)
        for page, sections in env.toc_secnumbers.items():
            for anchor, number in sections.items():
                sections[anchor] = _less_one(number)
            title, toc = env.titles[page], env.tocs[page]
            for node in (title, *toc.findall(nodes.reference)):
                if node.get("secnumber"):
                    node["secnumber"] = _less_one(node["secnumber"])
        return changed

    assign.counts_from_zero = True  # type: ignore[attr-defined]
    TocTreeCollector.assign_section_numbers = assign  # type: ignore[method-assign]
    return {"parallel_read_safe": True}
