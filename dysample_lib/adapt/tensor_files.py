"""Tensors out of files, without running the code that is in them."""

from __future__ import annotations

import os
from typing import Any

import torch


class _StandIn:
    """What an object of any other type is read as: empty, whatever it was made of."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_tensors(path: str | os.PathLike[str]) -> Any:
    """Read what ``torch.save`` wrote: tensors, numbers, text, lists and dicts.

    Training frameworks keep histories, schedules and random states beside the weights,
    and torch refuses the whole file for them. Here each such object is an empty
    stand-in: no function or class that the file names is imported or called.

    Raises:
        ValueError: if that is not enough to read the file.
    """
    named = os.fspath(path)
    try:
        strangers = torch.serialization.get_unsafe_globals_in_checkpoint(named)
    except ValueError:  # of torch before 1.6, or no checkpoint at all
        strangers = []
    try:
        with torch.serialization.safe_globals([(_StandIn, name) for name in strangers]):
            return torch.load(named, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{named} cannot be read as plain tensors ({type(error).__name__}); if you "
            "trust where it comes from, load it yourself and pass its state dict"
        ) from error
