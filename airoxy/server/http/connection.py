"""One client's connection: where requests begin and end, and how long each may take.

The law: one request at a time, its head whole and beyond doubt; what follows waits for the answer.
And a connection that asks nothing costs nothing for long: it is closed when it has been silent for
too long, idle or in the middle of a head or body, and never while an answer is being made or a
request has just arrived.
"""

from __future__ import annotations

import asyncio
import math
import select
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from airoxy.core.request import head as request_head
from airoxy.core.request.head import CHUNKED
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.server.http.chunks import Chunks
from airoxy.server.http.deadline import Deadline
from airoxy.server.http.errors import last_answer
from airoxy.server.http.head import RequestHead
from airoxy.server.http.request import Request
from airoxy.server.http.runner import Runner

#: How long a connection is kept that waits for its next request (seconds). The client should be the
#: first to give it up, and Go's keeps one for 90.
KEEP_ALIVE = 120.0
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
#: With more requests than that under way, answers wait for the end of the event loop's turn and go
#: out one after the other, which takes less time in all; with fewer nobody gains by the waiting.
_FEW = 3


@dataclass
class ServerState:
    """What all connections of a worker share: `secure` where they speak TLS, `leaving` once the
    worker takes no more requests after those that run."""

    answer: Callable[[Request], Awaitable[None]]
    secure: bool = False
    keep_alive: float = KEEP_ALIVE
    leaving: bool = False
    connections: set[ClientConnection] = field(default_factory=set)
    runners: set[Runner] = field(default_factory=set)


class ClientConnection(asyncio.Protocol):
    """Takes requests one after the other, and has each of them answered."""

    __slots__ = (
        "_can_hasten", "_chunks", "_deadline", "_deaf", "_drained", "_end", "_expiring",
        "_hastened", "_head", "_held", "_idle_time", "_in_head", "_left", "_read_paused",
        "_request", "_state", "loop", "transport", "write_paused",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(
        self,
        state: ServerState,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.write_paused = False
        self._state = state
        self._idle_time = state.keep_alive
        self._request: Request | None = None
        #: The head of the last request.
        self._head: RequestHead | None = None
        #: What has arrived and may not be looked at yet: half a head, or the requests after this.
        self._held = b""
        #: How much of the body is to come, or CHUNKED.
        self._left = 0
        self._chunks: Chunks | None = None
        #: Half a head is held, which has to be whole at `_end`.
        self._in_head = False
        #: Nothing that comes counts any more; what runs is finished.
        self._deaf = False
        self._expiring = False
        self._end = 0.0
        self._deadline = Deadline(self.loop, self._expire)
        self._read_paused = self._hastened = False
        #: uvloop's TLS with a limit of nothing would never be resumed.
        self._can_hasten = not state.secure
        self._drained: asyncio.Future[None] | None = None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open (and TLS is up)."""
        self.transport = cast(asyncio.Transport, transport)
        self._state.connections.add(self)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIME * 1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._end = self.loop.time() + HEAD_TIME
        self._deadline.set(self._end)

    def connection_lost(self, _error: Exception | None) -> None:
        """The socket is gone, by whoever's doing."""
        self._state.connections.discard(self)
        self._deadline.end()
        self._deaf = True
        self._head = None
        self.resume_writing()
        if self._request is not None and not self._request.complete:
            self._request.leave()
        self._request = None

    def pause_writing(self) -> None:
        """The client does not read."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """It does again, or never will."""
        self.write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        if self._deaf:
            return
        if self._held:
            data, self._held = self._held + data, b""
        if data:
            self._take(data)

    # What the request does with it.

    @property
    def leaving(self) -> bool:
        """Whether this server takes no more requests after those that run."""
        return self._state.leaving

    def write(self, data: bytes) -> None:
        """Nobody hears it where the client has left."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has read some of what was written."""
        self._drained = self.loop.create_future()
        await self._drained

    def say_continue(self) -> None:
        """The body is welcome."""
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pause_reading(self) -> None:
        """Somebody is behind."""
        if not self._read_paused and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Nobody is behind any more."""
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()

    def answered(self) -> None:
        """The request is complete: on to the next one."""
        self.resume_reading()
        if self.transport.is_closing():
            return
        if self._left:
            self._end = self.loop.time() + LINGER
            self._deadline.set(self._end)
        else:
            self._deadline.set(self.loop.time() + self._idle_time)
            if self._held:  # not here, within the answer to the one before
                self.loop.call_soon(self.data_received, b"")

    # One request after the other

    def _take(self, data: bytes) -> None:
        while data and not self._deaf and not self.transport.is_closing():
            if self._left == CHUNKED:
                self._take_chunks(data)
                break
            if self._left:
                data = self._take_body(data)
            elif self._running():
                self._hold(data)
                break
            else:
                data = self._begin(data)
        self._await_more()

    def _begin(self, data: bytes) -> bytes:
        """Begin a request with as much of its body as is there, and give what follows; hold what is
        less than a head."""
        end = data.find(b"\r\n\r\n") + 4
        if data[0] < b"A"[0]:
            data = data.lstrip(b"\r\n")
            end = data.find(b"\r\n\r\n") + 4
        try:
            if end < 4:
                self._hold_head(data)
                return b""
            head = self._recognise(data[:end])
        except AiroxyError as error:
            self._refuse(error)
            return b""
        self._in_head = False
        runner = Runner(self.loop, self._state.runners.discard)
        request = self._request = Request(self, head, runner)
        self._left = head.length
        data = data[end:]
        if self._left == CHUNKED:
            self._chunks = Chunks()
            if data:
                self._take_chunks(data)
            data = b""
        elif self._left and data:
            data = self._take_body(data)
        self._deadline.at = math.inf
        self._state.runners.add(runner)
        self._hasten(len(self._state.runners) <= _FEW)
        runner.start(self._run(request))
        return data

    def _recognise(self, head: bytes) -> RequestHead:
        last = self._head
        if last is None or not last.again(head):
            last = self._head = RequestHead(head)
        return last

    def _hasten(self, wanted: bool) -> None:
        """Whether what is written goes out at once: uvloop lets wait what is below the limit."""
        if wanted != self._hastened and self._can_hasten:
            self._hastened = wanted
            self.transport.set_write_buffer_limits(high=0 if wanted else None)

    async def _run(self, request: Request) -> None:
        try:
            await self._state.answer(request)
        finally:
            if not (request.complete or request.left):
                request.break_off()

    def _take_body(self, data: bytes) -> bytes:
        """Pass the body on, and give what follows it."""
        request = self._request
        assert request
        left = self._left
        if len(data) < left:
            self._left -= len(data)
            request.take(data)
            return b""
        self._left = 0
        request.take(data if len(data) == left else data[:left])
        self._end_body(request)
        return data[left:]

    def _take_chunks(self, data: bytes) -> None:
        request, chunks = self._request, self._chunks
        assert request
        assert chunks
        try:
            body = chunks.feed(data)
        except AiroxyError as error:
            self._refuse(error)
            return
        if body:
            request.take(body)
        if chunks.ended:
            self._left, self._chunks = 0, None
            self._end_body(request)
            if chunks.surplus:
                self._refuse(InvalidInput("Invalid HTTP request: a request out of turn."))

    def _end_body(self, request: Request) -> None:
        request.end()
        # Nobody need ask for more of this body, but that the client leaves is to be seen.
        self.resume_reading()

    def _hold(self, data: bytes) -> None:
        """Reading goes on for as long as it can be afforded, so that a client's leaving is seen."""
        self._held = data
        if len(data) > request_head.LIMIT:
            self.pause_reading()

    def _hold_head(self, data: bytes) -> None:
        if not data:
            return
        request_head.check_beginning(data)
        if not self._in_head:
            self._in_head = True
            self._end = self.loop.time() + HEAD_TIME
        self._held = data

    # Time limits

    def _await_more(self) -> None:
        """Give what is missing its time."""
        if self._deaf or self.transport.is_closing():
            return
        if self._running():
            if self._left:
                self._deadline.set(self.loop.time() + BODY_SILENCE)
        elif self._left or self._held:
            self._deadline.set(self._end)
        elif self._deadline.at == math.inf:
            self._deadline.set(self.loop.time() + self._idle_time)

    def expire_in(self, seconds: float) -> None:
        """Close the connection when it has been idle for that long; once asked, it stays so, and
        only less is heeded."""
        if self._expiring and seconds >= self._idle_time:
            return
        self._expiring = True
        self._idle_time = seconds
        if not self._running():
            self._deadline.set(self.loop.time() + seconds)

    def _expire(self) -> None:
        """Whatever has been closed meanwhile, or arrived in this moment, is not to be lost."""
        if self.transport.is_closing():
            return
        if self._running():
            self._check_body()
        elif self._left or self._in_head or not (self._held or self._arrived()):
            self.transport.close()

    def _check_body(self) -> None:
        """The silence of who is not listened to, or has been answered, is no fault of his."""
        if not self._left or (self._request and self._request.begun):
            return
        if self._read_paused or self._arrived():
            self._deadline.set(self.loop.time() + BODY_SILENCE)
            return
        error = InvalidInput("The request's body did not arrive in time.")
        error.status = 408
        self._refuse(error)

    def _running(self) -> bool:
        return self._request is not None and not self._request.complete

    def _arrived(self) -> bool:
        """Whether something is there that the loop has not read yet: timers come before reading."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self, error: AiroxyError) -> None:
        """Answer what is no HTTP, or too much of it, and hang up. An answer that has begun, or is
        to a request before, is finished first."""
        self._deaf = True
        self._held = b""
        request = self._request
        if request is not None and not request.complete and (request.begun or request.ended):
            request.is_last()
            return
        self.transport.write(last_answer(error))
        self.transport.close()
