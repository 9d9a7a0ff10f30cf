"""Files that come inside Python packages, each checked before it is read."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple


class SourceFile(NamedTuple):
    """A file of a package, and what it has to be.

    Attributes:
        name: the file's name.
        size: its bytes.
        sha256: its checksum, hexadecimal.
        module: the package that holds it, as it is imported.
        folder: where it lies in there.
        requirement: what to install.
    """

    name: str
    size: int
    sha256: str
    module: str
    folder: str
    requirement: str


def read_verified(source: SourceFile, root: Path | None = None) -> bytes:
    """The bytes of ``source``, after its size and its SHA-256 were checked.

    Args:
        source: which file.
        root: a folder that holds it; the installed package by default.

    Raises:
        FileNotFoundError: it is not there; says what to install.
        ValueError: it is not the file expected; names it and what to do.
    """
    folders = [root] if root is not None else _package_folders(source)
    found = [folder / source.name for folder in folders]
    path = next((p for p in found if p.is_file()), None)
    install = f"pip install '{source.requirement}'"
    if path is None:
        missing = f"there is no package {source.module}"
        where = f"{source.name} is not in {' or '.join(map(str, folders))}"
        raise FileNotFoundError(
            f"{source.name} is needed, and {where if folders else missing}; it comes "
            f"with a package: {install}"
        )
    data = path.read_bytes()
    reinstall = install.replace("install", "install --force-reinstall", 1)
    if len(data) != source.size:
        raise ValueError(
            f"{path} has {len(data)} bytes instead of {source.size}: it is truncated "
            f"or of another version of its package; reinstall it: {reinstall}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != source.sha256:
        raise ValueError(
            f"{path} has the SHA-256 {digest} instead of {source.sha256}: it is "
            f"damaged or of another version of its package; reinstall it: {reinstall}"
        )
    return data


def _package_folders(source: SourceFile) -> list[Path]:
    """Where the package may hold the file; nowhere if it is not installed."""
    try:
        spec = importlib.util.find_spec(source.module)
    except ModuleNotFoundError:  # not even the package above it
        spec = None
    # A namespace package may have several folders.
    locations = (spec and spec.submodule_search_locations) or ()
    return [Path(location) / source.folder for location in locations]
