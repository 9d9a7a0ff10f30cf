"""Tables in Markdown: of pages, benchmarks and the shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NUMBER = re.compile(r"[+−-]?\d|–$")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The lines of a table; columns that hold numbers stand at the right.

    Args:
        head: the names of the columns.
        rows: a cell for each of them; what begins with a digit is a number, and ``–``
            a missing one.

    Raises:
        ValueError: if a row does not have as many cells as the head.

    >>> print(markdown_table(["step", "IoU"], [("nearest", 41.2)]))
    | step | IoU |
    |---|---:|
    | nearest | 41.2 |
    """
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    for line in lines:
        if len(line) != len(head):
            raise ValueError(f"each row has to have {len(head)} cells, got {line}")
    columns = zip(*lines[1:], strict=True)
    numeric = [all(map(NUMBER.match, filter(None, column))) for column in columns]
    marks = ["---:" if right else "---" for right in numeric or [False] * len(head)]
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"|{'|'.join(marks)}|", *others])
