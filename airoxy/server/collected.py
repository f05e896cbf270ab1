"""A request body that is collected, in memory that is asked for once.

Invariant: what nothing was written to is never given out.
"""

from __future__ import annotations

import ctypes

#: Like `bytearray(size)`, but for the zeros, which take a millisecond for 10 MB.
_resize = ctypes.pythonapi.PyByteArray_Resize
_resize.argtypes, _resize.restype = [ctypes.py_object, ctypes.c_ssize_t], ctypes.c_int


class Collected:
    """The pieces of a body one after the other; `expected` is how many bytes there will be, as far
    as is known. A bytearray by itself is copied each time that an eighth has come, because other
    bodies grow beside it: milliseconds within one turn of the event loop."""

    __slots__ = ("_bytes", "size")

    def __init__(self, expected: int) -> None:
        self.size = 0
        self._bytes = bytearray()
        _resize(self._bytes, expected)

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        start = self.size
        end = self.size = start + len(piece)
        if end > len(self._bytes):
            _resize(self._bytes, 2 * end)
        self._bytes[start:end] = piece

    def take(self) -> bytearray:
        """All of it, and nothing more is added."""
        del self._bytes[self.size :]
        return self._bytes
