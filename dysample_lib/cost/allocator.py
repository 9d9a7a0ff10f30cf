"""glibc's allocator, asked to keep what is freed, so that page faults take no time.

Left to itself it returns buffers of 8 to 67 MB to the system at each call, in some
processes and not in others, and whoever needs more of them is charged for more than the
arithmetic.
"""

from __future__ import annotations

import ctypes
import os

# From malloc.h: the smallest freed top to give back, and how many buffers are mapped.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4

_kept = False


def keep_memory() -> bool:
    """Make this process keep freed memory from now on.

    Returns:
        Whether it will; other allocators than glibc's are left as they are.
    """
    global _kept
    library = ctypes.CDLL(None) if os.name == "posix" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        most = 2**31 - 1
        _kept = bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, most))
    return _kept


def allocator() -> str:
    """``"keeps memory"`` after :func:`.keep_memory`, else ``"default"``."""
    return "keeps memory" if _kept else "default"
