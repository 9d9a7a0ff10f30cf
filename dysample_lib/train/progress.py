"""A text progress bar for people; notebooks and logs get none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any


def bar(
    items: Any, progress: bool | None, unit: str, *, initial: int = 0
) -> Iterable[Any]:
    """Wrap ``items`` in a progress bar, or leave them silent.

    Args:
        items: something with a length.
        progress: show it; by default in a terminal and outside CI.
        unit: what an item is.
        initial: how many are done already.
    """
    if not shown(progress):
        return items
    from tqdm import tqdm

    total = initial + len(items)
    return tqdm(items, initial=initial, total=total, unit=unit)


def shown(progress: bool | None) -> bool:
    """Whether to show progress: as asked, or else in a terminal and outside CI."""
    if progress is None:
        return sys.stderr.isatty() and not os.environ.get("CI")
    return progress
