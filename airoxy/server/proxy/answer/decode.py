"""Undo the compression of an answer as it passes, for reading its usage only.

Invariant: nothing here fails, and no call returns more than a bound. What cannot be decoded, or
comes out too large, ends the decoding: from then on nothing is returned and nothing is counted. The
client's bytes are never touched.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

#: What one call may bring out: far above honest text, far below a compression bomb.
MAX_STEP = 32 << 20
#: Encodings on top of each other; more is nobody's honest answer.
_MAX_STACKED = 3
#: RFC 9659: more a decoder for HTTP need not hold.
_ZSTD_WINDOW = 8 << 20


class Decoder:
    """Decodes one body, whose content-encoding header is `encodings`.

    `limit` bounds what comes out in all, in bytes, for an answer that is collected.
    """

    __slots__ = ("_left", "_stages", "active")

    def __init__(self, encodings: str, *, limit: int | None = None) -> None:
        names = [name.strip().lower() for name in encodings.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        self._left = limit
        self._stages: list[_Stage] = []
        #: False once nothing comes out any more.
        self.active = len(names) <= _MAX_STACKED and all(name in _CODECS for name in names)
        if self.active:
            self._stages = [_Stage(*_CODECS[name]) for name in reversed(names)]

    def decode(self, piece: bytes) -> bytes:
        """All that this piece brings out."""
        if not self.active:
            return b""
        for stage in self._stages:
            piece = stage.decode(piece)
            self.active = self.active and not stage.broken
        if self._left is not None:
            self._left -= len(piece)
            self.active = self.active and self._left >= 0
        if not self.active:
            self._stages.clear()
        return piece


class _Stream(Protocol):
    """One compressed stream, as zlib and zstandard have it; what follows its end is unused."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Stage:
    """One encoding: streams one after the other, fed in steps too small for a bomb."""

    __slots__ = ("_open", "_step", "_stream", "broken")

    def __init__(self, open_: Callable[[bytes], _Stream], step: int) -> None:
        self._open = open_
        self._step = step
        self._stream: _Stream | None = None
        self.broken = False

    def decode(self, data: bytes) -> bytes:
        out: list[bytes] = []
        size = 0
        try:
            for start in range(0, len(data), self._step):
                rest = data[start : start + self._step]
                while rest:
                    stream = self._stream = self._stream or self._open(rest)
                    out.append(stream.decompress(rest))
                    size += len(out[-1])
                    if size > MAX_STEP:
                        self.broken = True
                        return b""
                    rest = stream.unused_data if stream.eof else b""
                    if stream.eof:
                        self._stream = None
        # Each library has an exception of its own, some fail for want of memory, and one may not
        # be installed: it is all the same here.
        except Exception:
            self.broken = True
        return b"".join(out)


def _gzip(_start: bytes) -> _Stream:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _deflate(start: bytes) -> _Stream:
    """Meant with zlib's header, often sent without; no compressor starts bare data like it."""
    return zlib.decompressobj(zlib.MAX_WBITS if start[0] & 0x0F == 8 else -zlib.MAX_WBITS)


def _zstd(_start: bytes) -> _Stream:
    decompressor = import_module("zstandard").ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return cast(_Stream, decompressor.decompressobj())


class _Brotli:
    """A brotli stream in zlib's terms; nothing may follow it."""

    unused_data = b""

    def __init__(self, _start: bytes) -> None:
        self._decompressor = import_module("brotli").Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes, /) -> bytes:
        return bytes(self._decompressor.process(data))


#: What opens a stream, and how many bytes are fed at once. The formats bring out at most
#: 1 KiB per byte (deflate), 128 KiB per 4 bytes (zstd) and 16 MiB per 10 bytes (brotli, whose
#: library has no other bound, and holds it several times meanwhile), so that a step stays below
#: 32 MiB.
_CODECS: dict[str, tuple[Callable[[bytes], _Stream], int]] = {
    "gzip": (_gzip, 8192),
    "x-gzip": (_gzip, 8192),
    "deflate": (_deflate, 8192),
    "zstd": (_zstd, 256),
    "br": (_Brotli, 16),
}
