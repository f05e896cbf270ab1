"""The answer to one request, framed as its client understands it.

Invariant: only a complete answer ends as one. What breaks off ends with its connection, by a reset
where the end of the connection would end the answer (HTTP/1.0, which knows no chunks).
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Protocol

from airoxy.core.request.browsers import ALLOWED, without_cors
from airoxy.core.request.headers import Headers
from airoxy.server.http.flow import Flow
from airoxy.server.http.head import RequestHead
from airoxy.server.http.states import (
    ANSWERING,
    BEGIN,
    DEAF,
    EARLY,
    END,
    GONE,
    LAST_END,
    UNANSWERED,
    Cycle,
)

#: Sent with each answer that is to be its connection's last.
CLOSE = (b"connection", b"close")
_CHUNKED = (b"transfer-encoding", b"chunked")
_line = b": ".join
_BODILESS = frozenset((204, 304))

_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, b"")) for status in range(100, 600)
}


class Outlet(Protocol):
    """What a response needs of its connection."""

    flow: Flow

    def is_last(self) -> bool:
        """Whether the answer that begins now has to be the connection's last."""

    def write(self, data: bytes) -> None: ...
    def drop_body(self) -> None:
        """Nobody needs what of the body may still come."""

    def answered(self) -> None:
        """An answer is complete."""

    def break_off(self, *, reset: bool) -> None:
        """End the connection, because an answer will never be complete."""


class Response:
    """What is there together goes out in one write."""

    __slots__ = (
        "_chunked", "_cycle", "_head", "_is_last", "_left", "_outlet", "_unsent",
    )  # fmt: skip

    def __init__(self, cycle: Cycle, outlet: Outlet, head: RequestHead) -> None:
        self._cycle = cycle
        self._outlet = outlet
        self._head = head
        self._is_last = head.last
        self._unsent = b""
        self._chunked = False
        #: Bytes that the head has promised; None if it has not said how many.
        self._left: int | None = None

    @property
    def begun(self) -> bool:
        """It is too late for another answer."""
        return self._cycle.state not in UNANSWERED

    def begin(
        self, status: int, headers: Headers, passed: Mapping[bytes, bytes] | None = None
    ) -> None:
        """The head; it goes out with the first piece, or with `flush`. `passed` are the headers of
        an upstream's answer by their names, those for its own connection among them."""
        named = dict(headers) if passed is None else passed
        if (length := named.get(b"content-length")) is not None:
            self._left = int(length)
        head, outlet, cycle = self._head, self._outlet, self._cycle
        if head.for_page:
            headers = [*without_cors(headers), *ALLOWED]
        more: Headers = []
        if status in _BODILESS or head.method == "HEAD":
            self._left = 0
        elif self._left is None:
            if head.is_http_1_0:
                self._is_last = True
            else:
                self._chunked = True
                more = [_CHUNKED]
        if passed is None and named.get(b"connection") == b"close":
            self._is_last = True
        elif self._is_last or cycle.state is DEAF or outlet.is_last():
            self._is_last = True
            more = [*more, CLOSE]
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
        lines = map(_line, headers + more if more else headers)
        self._unsent = b"\r\n".join((first, *lines, b"", b""))
        if cycle.on(BEGIN) is EARLY:
            outlet.drop_body()

    def flush(self) -> None:
        """Send the head by itself, because the body is yet to come."""
        unsent, self._unsent = self._unsent, b""
        if unsent and self._cycle.state not in GONE:
            self._outlet.write(unsent)

    def write(self, piece: bytes, *, more: bool) -> None:
        """A piece of the body; without `more` the last one, perhaps empty."""
        before, self._unsent = self._unsent, b""
        after = b""
        if self._chunked:
            if piece:
                before += b"%x\r\n" % len(piece)
                after = b"\r\n" if more else b"\r\n0\r\n\r\n"
            elif not more:
                after = b"0\r\n\r\n"
        elif self._left is not None:
            if self._head.method == "HEAD":
                piece = b""
            self._left -= len(piece)
        if self._cycle.state not in GONE:
            # Copying costs less than a second system call.
            self._outlet.write(before + piece + after if before or after else piece)
        if not more:
            self._finish()

    async def drain(self) -> bool:
        """Wait while the client does not read; whether that was so."""
        if not self._outlet.flow.write_paused:
            return False
        await self._outlet.flow.drain()
        return True

    def abandon(self) -> None:
        """Nobody answers any more: what is not complete is broken off."""
        if self._cycle.state in ANSWERING:
            self._break_off()

    def _finish(self) -> None:
        if self._left:
            self._break_off()  # it is shorter than it has promised
            return
        self._cycle.on(LAST_END if self._is_last else END)
        self._outlet.answered()

    def _break_off(self) -> None:
        self.flush()
        # The end of the connection would be the answer's end.
        ends_by_close = self.begun and self._left is None and not self._chunked
        self._outlet.break_off(reset=ends_by_close)
