"""One place that keeps what was read, so that the next run does not read it again.

Reading a set can take longer than training an epoch on it. What :func:`keep` was given
stays in memory, all of it together at most :data:`LIMIT` bytes: what was not asked for
the longest goes first. Whatever is kept is shared, so who hands it on to a caller hands
on a copy.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import torch

Value = TypeVar("Value")

LIMIT = 2 * 2**30
"""Bytes; both splits of the pets at 224 × 224 pixels are three quarters of it."""

_kept: OrderedDict[Hashable, Any] = OrderedDict()
_lock = RLock()  # one thread reads at a time; what it reads may keep things too


def keep(key: Hashable, read: Callable[[], Value]) -> Value:
    """Return what is kept under ``key``, or what ``read`` returns, which is kept then.

    A value of more than ``LIMIT`` bytes is not kept.
    """
    with _lock:
        if key not in _kept:
            value = read()
            if nbytes(value) > LIMIT:
                return value
            _kept[key] = value
            while nbytes(tuple(_kept.values())) > LIMIT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        kept: Value = _kept[key]
        return kept


def forget() -> None:
    """Forget all that is kept."""
    with _lock:
        _kept.clear()


def nbytes(value: object) -> int:
    """The bytes of the tensors and arrays in ``value`` and in the containers in it."""
    if isinstance(value, torch.Tensor) or hasattr(value, "nbytes"):
        return int(value.nbytes)
    if is_dataclass(value):
        return sum(nbytes(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Mapping):
        return sum(map(nbytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(nbytes, value))
    return 0


def stamp(folder: Path) -> int:
    """A number that changes with a folder's files: their names, sizes and times."""
    files = set()
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            try:
                status = os.stat(path)
            except OSError:  # a dangling link, or deleted a moment ago
                continue
            files.add((path, status.st_size, status.st_mtime_ns))
    return hash(frozenset(files))
