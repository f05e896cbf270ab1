"""One client's connection: uvicorn's protocol over httptools, and what it leaves open.

The law: the parser sees one request at a time, its head whole and beyond doubt; what follows waits
for the answer. And a connection that asks nothing costs nothing for long: it is closed when it has
been silent for too long, idle or in the middle of a head or body, and never while an answer is
being made or a request has just arrived.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airoxy.core import request_head
from airoxy.core.request_head import CHUNKED
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.server.unframed import answering_http_1_0

#: Sent with each answer that is to be its connection's last.
CLOSE = (b"connection", b"close")
#: How long a client may take to begin its first request, and for any request's head (seconds).
HEAD_TIME = 60.0
#: How long it may fall silent within a body: what nginx gives, and far more than a hiccup of a
#: mobile network takes (seconds).
BODY_SILENCE = 60.0
#: How long the rest of a body is taken in that nobody waits for: its sender may only then look
#: for the answer (seconds).
LINGER = 30.0
#: How long a client may leave lie what it was sent; Claude Code gives up after as much (seconds).
UNREAD_TIME = 300

#: Where a request's scope has its connection.
SCOPE_KEY = "airoxy.connection"

_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """uvicorn keeps one timer a connection, for kept-alive ones; here it runs whenever no answer
    is being made."""

    #: What has arrived and may not be parsed yet: half a head, or the requests after this one.
    _held = b""
    #: How much of the body is to come, or CHUNKED.
    _left = 0
    #: Bytes of chunked framing since the last of the body.
    _barren = 0
    #: Half a head is held, which has to be whole at `_end`.
    _in_head = False
    #: A head is being parsed; nothing else may begin a request.
    _beginning = False
    #: Nothing that comes counts any more; what runs is finished.
    _deaf = False
    _end = 0.0
    _expiring = False
    #: Called when the client has left; set by the request that runs (see incoming).
    on_left: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIME * 1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._end = self.loop.time() + HEAD_TIME
        self._expire_at(self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self.on_left is not None:
            self.on_left()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._take(data)

    # One request after the other

    def _take(self, data: bytes) -> None:
        while data and not self._deaf and not self.transport.is_closing():
            if self._left == CHUNKED:
                self._feed_chunks(data)
                break
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._feed(piece)
            elif self._running():
                self._hold(data)
                break
            else:
                data = self._begin(data)
        self._await_more()

    def _begin(self, data: bytes) -> bytes:
        """Parse a head and as much of its body as is there, and give what follows; hold what is
        less than a head."""
        data = data.lstrip(b"\r\n")
        end = data.find(b"\r\n\r\n") + 4
        try:
            if end < 4:
                self._hold_head(data)
                return b""
            self._in_head = False
            head = data[:end]
            left = self._left = request_head.body_length(head)
        except AiroxyError as error:
            self._refuse(error)
            return b""
        end += len(data) if left == CHUNKED else left
        piece = data[:end]
        if left != CHUNKED:
            self._left = max(0, end - len(data))
        self._beginning = True
        self._barren = 0
        self._feed(_without_upgrade(piece, head))
        return data[end:]

    def _hold(self, data: bytes) -> None:
        """Reading goes on for as long as it can be afforded, so that a client's leaving is seen."""
        self._held = data
        if len(data) > request_head.LIMIT:
            self.flow.pause_reading()

    def _hold_head(self, data: bytes) -> None:
        if not data:
            return
        request_head.check_beginning(data)
        if not self._in_head:
            self._in_head = True
            self._end = self.loop.time() + HEAD_TIME
        self._held = data

    def _feed(self, data: bytes) -> None:
        super().data_received(data)

    def _feed_chunks(self, data: bytes) -> None:
        before = len(self.cycle.body)
        self._feed(data)
        # Of an answered request nothing is kept.
        brought = len(self.cycle.body) != before or not self._running()
        self._barren = 0 if brought else self._barren + len(data)
        if self._barren > request_head.LIMIT and self._left == CHUNKED:
            self._refuse(InvalidInput("The request's body has framing without end."))

    def on_message_begin(self) -> None:
        if not self._beginning:  # behind chunks, where only the parser finds the end
            raise ValueError("a request out of turn")
        self._beginning = False
        super().on_message_begin()
        self.scope[SCOPE_KEY] = self  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        if not self.parser.should_keep_alive() and CLOSE not in self.headers:
            self.headers.append(CLOSE)  # however it was said
        if self.parser.get_http_version() == "1.0":
            self.app = answering_http_1_0(self.config.loaded_app)
        super().on_headers_complete()
        self.headers = []  # trailers are nobody's headers

    def on_message_complete(self) -> None:
        self._left = 0
        super().on_message_complete()
        # Nobody need ask for more of this body, but that the client leaves is to be seen.
        self.flow.resume_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._left:
            self._end = self.loop.time() + LINGER
            self._expire_at(self._end)
        elif self._held:
            data, self._held = self._held, b""
            self._take(data)

    # Time limits

    def _await_more(self) -> None:
        """Give what is missing its time."""
        if self._deaf or self.transport.is_closing():
            return
        if self._running():
            if self._left:
                self._expire_at(self.loop.time() + BODY_SILENCE)
        elif self._left or self._held:
            self._expire_at(self._end)
        elif self.timeout_keep_alive_task is None:
            self._expire_at(self.loop.time() + self.timeout_keep_alive)

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
        if self.transport.is_closing():
            return
        if self._running():
            self._check_body()
        elif self._left or self._held or not self._arrived():
            self.transport.close()

    def _check_body(self) -> None:
        """The silence of who is not listened to, or has been answered, is no fault of his."""
        if not self._left or self.cycle.response_started:
            return
        if self.flow.read_paused or self._arrived():
            self._expire_at(self.loop.time() + BODY_SILENCE)
            return
        error = InvalidInput("The request's body did not arrive in time.")
        error.status = 408
        self._refuse(error)

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidInput(msg))

    def _expire_at(self, when: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_at(when, self.timeout_keep_alive_handler)

    def _running(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arrived(self) -> bool:
        """Whether something is there that the loop has not read yet: timers come before reading."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self, error: AiroxyError) -> None:
        """Answer what is no HTTP, or too much of it, and hang up. An answer that has begun, or is
        to a request before, is finished first."""
        from airoxy.server.app import error_document

        self._deaf = True
        self._held = b""
        if self._running() and (self.cycle.response_started or not self.cycle.more_body):
            self.cycle.keep_alive = False
            return
        body, request_id = error_document(error)
        head = f"HTTP/1.1 {error.status} \r\ncontent-type: application/json\r\n"
        head += (
            f"content-length: {len(body)}\r\nrequest-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _without_upgrade(data: bytes, head: bytes) -> bytes:
    """The request without an offer of another protocol (Java's HTTP client offers h2c with each
    first request): httptools would end the request there, and drop its body. The name that takes
    the place crosses no proxy either."""
    if b"pgrade" not in head and b"PGRADE" not in head:
        return data
    return _UPGRADE.sub(b"\r\nkeep-alive:", head) + data[len(head) :]
