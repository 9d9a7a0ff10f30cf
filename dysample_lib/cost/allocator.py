"""glibc's allocator, asked to keep what is freed, so that page faults take no time.

Left to itself it returns buffers of 8 to 67 MB to the system at each call, in some
processes and not in others, and whoever needs more of them is charged for more than the
arithmetic.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

# How many buffers are mapped, and the smallest freed top to give back: the variable
# that a process reads when it starts, malloc.h's option, and the value.
_SETTINGS = (
    ("MALLOC_MMAP_MAX_", -4, 0),
    ("MALLOC_TRIM_THRESHOLD_", -1, 2**31 - 1),
)
VARIABLES = {name: str(value) for name, _, value in _SETTINGS}
"""With these in its environment a process keeps freed memory from its start."""


def keep_memory() -> bool:
    """Make this process, and those it starts, keep freed memory from now on.

    Returns:
        Whether it will; other allocators than glibc's are left as they are.
    """
    mallopt = _mallopt()
    kept = mallopt is not None and all(mallopt(o, v) for _, o, v in _SETTINGS)
    if kept:
        os.environ.update(VARIABLES)
    return kept


def allocator() -> str:
    """``"keeps memory"`` after :func:`.keep_memory`, here or in what started this
    process, else ``"default"``.
    """
    asked = VARIABLES.items() <= os.environ.items()
    return "keeps memory" if asked and _mallopt() is not None else "default"


def _mallopt() -> Any:
    """glibc's function that sets its options, or None."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return getattr(library, "mallopt", None)
