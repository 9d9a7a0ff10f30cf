"""Training checkpoints that survive a kill: written whole or not at all."""

from __future__ import annotations

import glob
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``path`` in one atomic step.

    A reader sees the old file or the new one, never a part: the bytes go to a
    neighbouring file of its own first, reach the disk, and then take the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)
    draft = Path(name)
    try:
        with open(descriptor, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _clear_drafts(path)


def _clear_drafts(path: Path, seconds: float = 600) -> None:
    """Remove what killed processes left: a draft that lives is some moments old."""
    for draft in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        with suppress(OSError):  # another process may have done it
            if time.time() - draft.stat().st_mtime > seconds:
                draft.unlink()


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint whose run is done, and what killed processes left of it."""
    path.unlink(missing_ok=True)
    _clear_drafts(path, seconds=0)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the checkpoint at ``path``: tensors and plain Python values, no code.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged or is no checkpoint of ``fit``.
    """
    if not path.exists():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); delete it to "
            "start again"
        ) from error
    if not isinstance(state, dict) or "identity" not in state:
        raise ValueError(
            f"checkpoint {path} was not written by fit(); choose another path"
        )
    return state


def load_checkpoint(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Read the checkpoint at ``path`` to go on from, or None where there is none.

    Raises:
        ValueError: if it belongs to a run of another identity, naming what differs.
    """
    if not path.exists():
        return None
    state = read_checkpoint(path)
    theirs = state["identity"]
    differing = ", ".join(
        f"{key}: {theirs.get(key)!r} there, {identity.get(key)!r} here"
        for key in sorted({*theirs, *identity})
        if theirs.get(key) != identity.get(key)
    )
    if differing:
        raise ValueError(
            f"checkpoint {path} belongs to another run ({differing}); delete it or "
            "choose another path"
        )
    return state
