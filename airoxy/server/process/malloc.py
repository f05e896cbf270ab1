"""How the C library keeps the memory that request and answer bodies take up for a moment."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: What is larger goes back to the system when it is freed: the most that glibc allows (bytes).
_LARGEST = 32 << 20
#: So much may lie idle, and so much until `FreedMemory` looks: giving it back takes some ten
#: milliseconds, which is not to happen whenever a body is freed (bytes).
_MOST_IDLE, _MOST_FOR_A_WHILE = 64 << 20, 1 << 30
#: Seconds between two looks at it: what a loaded server gives back in that time costs it nothing.
_TRIM_INTERVAL = 10.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
    mallopt(_TRIM_THRESHOLD, _MOST_FOR_A_WHILE)


class FreedMemory:
    """Gives back to the kernel what a burst has left behind: TLS handshakes leave many small holes,
    which glibc by itself never returns."""

    def __init__(self) -> None:
        self._least = _resident()
        self._next = 0.0

    def check(self, now: float) -> None:
        """Called every second; `now` is of any clock. Looks every ten seconds."""
        if now < self._next:
            return
        self._next = now + _TRIM_INTERVAL
        if _resident() > self._least + _MOST_IDLE:
            with suppress(OSError, AttributeError):  # another C library
                ctypes.CDLL(None).malloc_trim(0)
        self._least = min(self._least, _resident())


def _resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * _PAGE
