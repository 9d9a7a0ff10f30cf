"""A short name for the content of a data set, so that two folders are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from .base import DataSet

LENGTH = 16  # hexadecimal digits: 64 bits
NAMES = ("name", "split", "protagonist")  # these say what a set is called


def fingerprint(data: DataSet, *, decoded: bool = False) -> str:
    """Sixteen hexadecimal digits that differ where a set's content does.

    The first digits of a SHA-256 over all that a run sees of the set: types, shapes
    and bytes of images and targets, in their order, and the classes. They do not
    depend on where the set lies or on the device that it is on.

    Args:
        data: the set.
        decoded: take the images as they were decoded, also where the checksum of
            their files is known. Decoders of JPEG files differ by a level between two
            machines, and the digits would with them.
    """
    apart = NAMES if decoded or not data.checksum else (*NAMES, "images")
    names = [field.name for field in fields(data) if field.name not in apart]
    names.append(names.pop(names.index("checksum")))  # last, as records have it
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}=".encode())
        _add(digest, getattr(data, name))
    return digest.hexdigest()[:LENGTH]


def _add(digest: hashlib._Hash, value: object) -> None:
    """Add a value with its type and size, so that no two values read the same."""
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        digest.update(f"mapping of {len(value)}".encode())
        for key in sorted(value):
            _add(digest, key)
            _add(digest, value[key])
    elif isinstance(value, (tuple, list)):
        digest.update(f"sequence of {len(value)}".encode())
        for item in value:
            _add(digest, item)
    else:
        digest.update(f"{type(value).__name__}({value!r})".encode())
