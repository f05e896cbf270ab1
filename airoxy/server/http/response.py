"""The answer to one request, framed as its client understands it.

The law: what is there together goes out in one write. Only a complete answer ends as one: what
breaks off ends with its connection, by a reset where the end of the connection would end the answer
(HTTP/1.0, which knows no chunks).
"""

from __future__ import annotations

import http
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airoxy.core.request.headers import Headers
from airoxy.server.http.head import RequestHead

if TYPE_CHECKING:
    from airoxy.server.http.connection import ClientConnection

#: Sent with each answer that is to be its connection's last.
CLOSE = (b"connection", b"close")
_CHUNKED = (b"transfer-encoding", b"chunked")
_BODILESS = frozenset((204, 304))

_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, b"")) for status in range(100, 600)
}


class Response:
    """`begun` with its head, `complete` with its last byte."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_last",
        "_left",
        "_unsent",
        "begun",
        "complete",
        "head",
    )

    def __init__(self, connection: ClientConnection, head: RequestHead) -> None:
        self.head = head
        self.begun = self.complete = False
        self._connection = connection
        self._last = head.last
        self._unsent = b""
        self._chunked = False
        #: Bytes that the head has promised; None if it has not said how many.
        self._left: int | None = None

    def begin(self, status: int, headers: Headers) -> None:
        """Goes out with the first piece, or with `flush`."""
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
        head = self.head
        more: Sequence[tuple[bytes, bytes]] = ()
        if status in _BODILESS or head.method == "HEAD":
            self._left = 0
        elif self._left is None:
            if head.is_http_1_0:
                self._last = True
            else:
                self._chunked = True
                more = (_CHUNKED,)
        if CLOSE in headers:
            self._last = True
        elif self._last or self._connection.leaving:
            self._last = True
            more = (*more, CLOSE)
        lines = map(b": ".join, (*headers, *more))
        self._unsent = b"\r\n".join((_STATUS_LINES[status], *lines, b"", b""))
        self.begun = True

    def flush(self) -> None:
        """Send the head by itself, because the body is yet to come."""
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._connection.write(unsent)

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
            if self.head.method == "HEAD":
                piece = b""
            self._left -= len(piece)
        # Copying costs less than a second system call.
        self._connection.write(before + piece + after if before or after else piece)
        if not more:
            self._finish()

    async def drain(self) -> None:
        """Wait while the client does not read."""
        if self._connection.write_paused:
            await self._connection.drained()

    def is_last(self) -> None:
        """Close the connection behind the answer."""
        self._last = True

    def break_off(self) -> None:
        """End the connection within the answer, or before it."""
        self.flush()
        transport = self._connection.transport
        if self._last and self._left is None and not self._chunked and self.begun:
            # To close without lingering is to reset; the last bytes may be lost with it.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()

    def _finish(self) -> None:
        if self._left:
            self.break_off()  # it is shorter than it has promised
            return
        self.complete = True
        if self._last:
            self._connection.transport.close()
        self._connection.answered()
