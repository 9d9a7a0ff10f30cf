"""Tensors out of files, without running the code that is in them."""

from __future__ import annotations

import os
from typing import Any

import torch


class StandIn:
    """What an object of any other type is read as: empty, whatever it was made of.

    Its class has the name of the one that the file asks for.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    @classmethod
    def called(cls, name: str) -> type[StandIn]:
        """A class of stand-ins for ``name``, a dotted path."""
        module, _, last = name.rpartition(".")
        return type(last, (cls,), {"__module__": module})


def kind(value: object) -> str:
    """The type of ``value`` in words; for a stand-in the type it stands for."""
    found = type(value)
    return f"{found.__module__}.{found.__qualname__}".removeprefix("builtins.")


def read_tensors(path: str | os.PathLike[str]) -> Any:
    """Read tensors, numbers, text, lists and dicts, of ``torch.save`` or safetensors.

    Training frameworks keep histories, schedules and random states beside the weights,
    and torch refuses the whole file for them. Here each such object is an empty
    stand-in: no function or class that the file names is imported or called.

    Raises:
        ModuleNotFoundError: for a safetensors file without the package.
        ValueError: if the file cannot be read so.
    """
    named = os.fspath(path)
    with open(named, "rb") as file:
        # Eight bytes of length and a JSON object; no pickle or zip file begins so.
        is_safetensors = file.read(9)[8:] == b"{"
    if is_safetensors:
        try:
            from safetensors.torch import load_file
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{named} is a safetensors file: pip install safetensors"
            ) from error
    try:
        return load_file(named) if is_safetensors else _load_pickled(named)
    except Exception as error:
        raise ValueError(
            f"{named} cannot be read as plain tensors ({type(error).__name__}); if you "
            "trust where it comes from, load it yourself and pass its state dict"
        ) from error


def _load_pickled(named: str) -> Any:
    try:
        strangers = torch.serialization.get_unsafe_globals_in_checkpoint(named)
    except ValueError:  # of torch before 1.6, or no checkpoint at all
        strangers = []
    stand_ins: list[Any] = [(StandIn.called(name), name) for name in strangers]
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(named, map_location="cpu", weights_only=True)
