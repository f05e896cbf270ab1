"""How the C library keeps the memory that request and answer bodies take up for a moment."""

from __future__ import annotations

import ctypes

# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: What is larger goes back to the system when it is freed: the most that glibc allows (bytes).
_LARGEST = 32 << 20
#: So much may lie idle (bytes).
_MOST_IDLE = 64 << 20


def keep_freed_memory() -> None:
    """From now on it is kept for the next body.

    Where some hundred kilobytes are given back after each request, the kernel has to find and
    clear as much for the next one: a tenth of the time that a body of 100 kB takes. glibc comes to
    keep as much by itself once it has seen a body of 30 MB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library, with ways of its own
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _MOST_IDLE)
