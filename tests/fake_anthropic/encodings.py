"""Content encodings, piece by piece, with the standard library only.

Brotli and zstd are written in their stored (uncompressed) form, which every decoder must read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

#: The largest stored block that both brotli (16 bit) and zstd (128 KiB) allow.
BLOCK = 65536


class Identity:
    """Encodes nothing; also the shape of the others."""

    def piece(self, data: bytes) -> bytes:
        """The encoded piece, complete: a decoder can give back all of `data` at once."""
        return data

    def end(self) -> bytes:
        return b""


class Deflate(Identity):
    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.compressobj(wbits=wbits)

    def piece(self, data: bytes) -> bytes:
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._zlib.flush()


class StoredBrotli(Identity):
    """RFC 7932: the first byte's lowest bit is the window size, then meta-blocks."""

    def __init__(self) -> None:
        self._window_bits = 1

    def piece(self, data: bytes) -> bytes:
        return b"".join(self._block(part) for part in blocks(data))

    def _block(self, part: bytes) -> bytes:
        # ISLAST 0, MNIBBLES 00 (four), MLEN-1 in 16 bits, ISUNCOMPRESSED 1, then whole bytes
        header = ((len(part) - 1) << 3 | 1 << 19) << self._window_bits
        self._window_bits = 0
        return header.to_bytes(3, "little") + part

    def end(self) -> bytes:
        return b"\x06" if self._window_bits else b"\x03"


class StoredZstd(Identity):
    """RFC 8878: magic, a frame header with a window of 1 MiB, raw blocks."""

    def __init__(self) -> None:
        self._start = b"\x28\xb5\x2f\xfd\x00\x50"

    def piece(self, data: bytes) -> bytes:
        start, self._start = self._start, b""
        return start + b"".join((len(p) << 3).to_bytes(3, "little") + p for p in blocks(data))

    def end(self) -> bytes:
        return self._start + b"\x01\x00\x00"


def blocks(data: bytes) -> Iterator[bytes]:
    return (data[i : i + BLOCK] for i in range(0, len(data), BLOCK))


def encoder(name: str | None) -> Identity:
    """A fresh encoder for `content-encoding: NAME`; None is identity."""
    match name:
        case None:
            return Identity()
        case "gzip":
            return Deflate(31)
        case "deflate":
            return Deflate(15)
        case "br":
            return StoredBrotli()
        case "zstd":
            return StoredZstd()
    raise ValueError(f"no encoder for {name!r}")


def encode(name: str | None, data: bytes) -> bytes:
    made = encoder(name)
    return made.piece(data) + made.end()
