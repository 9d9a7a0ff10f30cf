"""glibc's allocator, asked to keep what is freed, so that page faults take no time.

Left to itself it returns buffers of 8 to 67 MB to the system at each call, in some
processes and not in others, and whoever needs more of them is charged for more than the
arithmetic.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_MOST = 2**31 - 1
# From malloc.h: how many buffers are mapped, and the smallest freed top to give back.
_OPTIONS = {-4: 0, -1: _MOST}
_VARIABLES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(_MOST)}


def keep_memory() -> bool:
    """Make this process, and those it starts, keep freed memory from now on.

    Returns:
        Whether it will; other allocators than glibc's are left as they are.
    """
    mallopt = _mallopt()
    kept = mallopt is not None and all(mallopt(*each) for each in _OPTIONS.items())
    if kept:
        os.environ.update(_VARIABLES)
    return kept


def allocator() -> str:
    """``"keeps memory"`` after :func:`.keep_memory`, here or in what started this
    process, else ``"default"``.
    """
    asked = _VARIABLES.items() <= os.environ.items()
    return "keeps memory" if asked and _mallopt() is not None else "default"


def _mallopt() -> Any:
    """glibc's function that sets its options, or None."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return getattr(library, "mallopt", None)
