"""A request body in chunks (RFC 9112, 7.1), read strictly and in bounded steps.

Extensions and trailers are dropped. What follows the last chunk is no part of the body.
"""

from __future__ import annotations

import re

from airoxy.errors import InvalidInput

#: Chunks that are read in one step: some 0.1 ms.
STEP = 64
#: A body of more than this is an attack where a third of it and more is framing (bytes).
_FRAMING_ABOVE = 64 * 1024
_MOST_TRAILERS = 8 * 1024
#: A line with a size; extensions of the usual length fit in.
_LONGEST_LINE = 1024

_SIZE = rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\r\n"
_FIRST_LINE = re.compile(_SIZE)
#: The end of a chunk, and the size of the next one.
_NEXT_LINE = re.compile(rb"\r\n" + _SIZE)
#: What either may begin with.
_FIRST_PART = re.compile(rb"(?:[0-9A-Fa-f]{1,15}(?:;[\t -~\x80-\xff]*)?\r?)?")
_NEXT_PART = re.compile(rb"\r(?:\n(?:[0-9A-Fa-f]{1,15}(?:;[\t -~\x80-\xff]*)?\r?)?)?")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")


class Chunks:
    """`ended` when the last chunk and the trailers have come; `rest` is what follows them, or what
    the next step begins with; `pending` says that there is a next step without further bytes."""

    __slots__ = (
        "_framing", "_in_trailers", "_left", "_line", "_part", "ended", "pending", "received",
        "rest",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ended = self.pending = False
        self.rest = b""
        #: Bytes that were read, framing included.
        self.received = self._framing = 0
        self._left = 0
        self._line, self._part = _FIRST_LINE, _FIRST_PART
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        """What of the body is in `data`, or in a step of it. Raises InvalidInput."""
        if self.rest:
            data = self.rest + data
        pieces: list[bytes] = []
        at, size, steps = 0, 0, STEP
        while at < len(data) and steps and not self._in_trailers:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                size += len(piece)
                self._left -= len(piece)
                continue
            line = self._line.match(data, at)
            if line is None or line.end() - at > _LONGEST_LINE:
                self._check_part(data[at : at + _LONGEST_LINE + 1])
                break
            steps -= 1
            at = line.end()
            self._left = int(line[1], 16)
            self._in_trailers = not self._left
            self._line, self._part = _NEXT_LINE, _NEXT_PART
        self.pending = not steps and at < len(data)
        if self._in_trailers:
            at = self._end(data, at)
        self.rest = data[at:]
        self._check_share(at, size)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check_part(self, line: bytes) -> None:
        if len(line) > _LONGEST_LINE or not self._part.fullmatch(line):
            raise InvalidInput("Invalid HTTP request: its chunks are not clear.")

    def _check_share(self, read: int, body: int) -> None:
        self.received += read
        self._framing += read - body
        if self.received > _FRAMING_ABOVE and self._framing * 3 > self.received:
            raise InvalidInput("Invalid HTTP request: its body is mostly framing.")

    def _end(self, data: bytes, at: int) -> int:
        """Where the trailers end, if their end is there; else `at`."""
        end = at + 2 if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", at) + 4
        if end - at > _MOST_TRAILERS or (end < 4 and len(data) - at > _MOST_TRAILERS):
            raise InvalidInput("Invalid HTTP request: its trailers are too long.")
        if end < 4:
            return at
        if not _TRAILERS.fullmatch(data, at, end):
            raise InvalidInput("Invalid HTTP request: its trailers are malformed.")
        self.ended = True
        return end
