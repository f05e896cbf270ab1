"""One client's connection: uvicorn's protocol over httptools, and what it leaves open.

The law: a connection that asks nothing costs nothing for long. It is closed when it has been idle,
or in the middle of a request's head, for too long, and never while a request is running or has
just arrived.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airoxy.errors import AiroxyError, InvalidInput

#: Sent with each answer that is to be its connection's last.
CLOSE = (b"connection", b"close")
#: How long a client may take to begin its first request, and for any request's head (seconds).
HEAD_TIME = 60.0
#: What the head of a request may have, before its body (bytes).
HEAD_SIZE = 64 * 1024

#: Where a request's scope has its connection.
SCOPE_KEY = "airoxy.connection"

_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """uvicorn keeps one timer a connection, for kept-alive ones; here it runs whenever no request
    does."""

    _head_size = 0
    _head_end = 0.0
    _expiring = False
    #: Called when the client has left; set by the request that runs (see incoming).
    on_left: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expire_at(self.loop.time() + HEAD_TIME)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.on_left is not None:
            self.on_left()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[SCOPE_KEY] = self  # type: ignore[literal-required]

    def data_received(self, data: bytes) -> None:
        if not self._running():
            data = _without_upgrade(data)
        super().data_received(data)
        if not self._in_head():
            self._head_size = 0
            return
        if not self._head_size:
            self._head_end = self.loop.time() + HEAD_TIME
        self._head_size += len(data)
        if self._head_size > HEAD_SIZE:
            error = InvalidInput(f"The request's head is larger than {HEAD_SIZE // 1024} KiB.")
            error.status = 431
            self._refuse(error)
        elif not self.transport.is_closing():
            self._expire_at(self._head_end)

    def expire_in(self, seconds: float) -> None:
        """Close the connection when it has been idle for that long; once asked, it stays so, and
        only less is heeded."""
        if self._expiring and seconds >= self.timeout_keep_alive:
            return
        self._expiring = True
        self.timeout_keep_alive = seconds  # type: ignore[assignment]
        if not self._running():
            self._expire_at(self.loop.time() + seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Whatever has been closed meanwhile, or arrived in this moment, is not to be lost."""
        if not self._running() and not self.transport.is_closing() and not self._arrived():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidInput(msg))

    def _expire_at(self, when: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_at(when, self.timeout_keep_alive_handler)

    def _in_head(self) -> bool:
        """Whether a request has begun whose head is not complete."""
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _running(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arrived(self) -> bool:
        """Whether something is there that the loop has not read yet: timers come before reading."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self, error: AiroxyError) -> None:
        """Answer what is no HTTP, or too much of it, and hang up."""
        from airoxy.server.app import error_document

        body, request_id = error_document(error)
        head = f"HTTP/1.1 {error.status} \r\ncontent-type: application/json\r\n"
        head += (
            f"content-length: {len(body)}\r\nrequest-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """The request without an offer of another protocol (Java's HTTP client offers h2c with each
    first request): httptools would end the request there, and drop its body. The name that takes
    the place crosses no proxy either."""
    end = data.find(b"\r\n\r\n")
    head = data if end < 0 else data[:end]
    if b"pgrade" not in head and b"PGRADE" not in head:
        return data
    return _UPGRADE.sub(b"\r\nkeep-alive:", head) + data[len(head) :]
