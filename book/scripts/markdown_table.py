"""Markdown for the tables that `make tables` writes."""

from __future__ import annotations


def table(*rows: tuple[str, ...]) -> list[str]:
    """The lines of a Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:], ""]
