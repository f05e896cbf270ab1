"""One client's connection: where requests begin and end, and how long each may take.

Invariant: one request at a time, its head whole and beyond doubt; what follows waits for the
answer. A connection that asks nothing is closed when it has been silent for too long, idle or
within a head or body, and never while an answer is being made or a request has just arrived.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import ClassVar, cast

from airoxy.core.request import head as request_head
from airoxy.core.request.head import CHUNKED
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.server.admission import Newcomer
from airoxy.server.http.chunks import Chunks
from airoxy.server.http.deadline import MOST_REST, Deadline, Rest
from airoxy.server.http.errors import body_timed_out, last_answer
from airoxy.server.http.flow import LARGE, Flow
from airoxy.server.http.head import RequestHead, read_head
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.runner import Runner
from airoxy.server.http.server_state import ServerState

# isort: off
from airoxy.server.http.states import (
    ANSWER, ANSWERING, BODY, BODY_END, CLOSE, DONE, EARLY, FAULT, HEAD, HEAD_BEFORE_BODY, IDLE,
    LINGERING, PART_OF_HEAD, REST, WHOLE, WHOLE_REQUEST, Cycle, State,
)  # fmt: skip
# isort: on

#: With more running requests than this, answers are written together at the end of the event loop's
#: turn, which takes less time in all; with fewer there is nothing to gain.
_FEW = 3


class ClientConnection(asyncio.Protocol):
    """Takes requests one after the other, and has each of them answered."""

    __slots__ = (
        "_chunks", "_cycle", "_deadline", "_head", "_held", "_idle_time", "_left", "_request",
        "_rest", "_state", "_timeouts", "flow", "loop", "newcomer", "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    flow: Flow

    def __init__(self, state: ServerState, newcomer: Newcomer | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.newcomer = newcomer or Newcomer()
        self._state = state
        self._timeouts = state.timeouts
        self._idle_time = state.timeouts.idle
        self._cycle = Cycle()
        self._request: Request | None = None
        self._head: RequestHead | None = None  # of the last request
        #: What has arrived and may not be looked at yet: half a head, or the requests after this.
        self._held = b""
        #: How much of the body is to come, or CHUNKED.
        self._left = 0
        self._chunks: Chunks | None = None
        self._deadline = Deadline(self.loop, self._expire)
        self._rest = Rest(self._deadline, state.timeouts)

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open (and TLS is up)."""
        self.transport = cast(asyncio.Transport, transport)
        state = self._state
        self.flow = Flow(self.loop, self.transport, secure=state.secure, turns=state.turns)
        state.connections.add(self)
        self.newcomer.give_way = self._give_way
        if state.ended:
            self.transport.abort()
            return
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._timeouts.unread * 1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._deadline.set(self.loop.time() + self._timeouts.head)

    def connection_lost(self, _error: Exception | None) -> None:
        """The socket is gone, by whoever's doing."""
        self._state.connections.discard(self)
        self._deadline.end()
        self.newcomer.end()
        request = self._request if self._cycle.state in ANSWERING else None
        self._cycle.on(CLOSE)
        self.flow.end()
        self._request = self._head = None
        if request:
            request.leave()

    def pause_writing(self) -> None:
        """The client does not read."""
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.flow.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several: who takes them depends on the state."""
        if len(data) > LARGE:
            self.flow.take_turns()
        if self._held:
            data, self._held = self._held + data, b""
        begun = False
        while data:
            state = self._cycle.state
            if state is not IDLE:
                take = self._TAKERS.get(state)
                data = take(self, data) if take else b""
            elif begun:  # the next one in the next turn of the loop: others wait, too
                self._hold(data)
                self.loop.call_soon(self.data_received, b"")
                return
            else:
                begun = True
                data = self._take_head(data)

    # What the response does with it (see response.Outlet), and the request (request.Inlet).

    def is_last(self) -> bool:
        """Whether the answer that begins now has to be the last: the worker leaves, or the end of
        the body may never be found."""
        if self._cycle.state is not BODY:
            return self._state.leaving
        assert self._request
        return (
            self._state.leaving
            or not 0 < self._left <= MOST_REST
            # A client that was not told to send its body may send it, or the next request.
            or self._request.awaits_continue
        )

    def write(self, data: bytes) -> None:
        """Does nothing once the client has left."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def send_continue(self) -> None:
        """Tell the client to send its body."""
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def drop_body(self) -> None:
        """The rest of the body is not needed."""
        self._deadline.at = math.inf
        self.flow.resume_reading()

    def answered(self) -> None:
        """The answer is complete: on to the next request, once this one is over."""
        state = self._cycle.state
        if state is DONE:
            self._begin_next()
        elif state is REST:
            self._wait_for_rest()
        elif state is LINGERING:
            self._linger()

    def break_off(self, *, reset: bool) -> None:
        """End the connection, because an answer will never be complete."""
        if reset:
            self.flow.reset()
        self._close()

    # What is taken, by state.

    def _take_head(self, data: bytes) -> bytes:
        """Begin a request with as much of its body as is there, and give what follows."""
        head = self._head
        if head is None or not data.startswith(head.raw):  # else it is the same once more
            data, head = self._read_head(data)
            if head is None:
                return b""
        cycle, shared = self._cycle, self._state
        runner = Runner(self.loop, shared.runners)
        request = self._request = Request(cycle, self, head, runner)
        self._deadline.at = math.inf
        start, left = len(head.raw), head.length
        if 0 <= left <= len(data) - start:  # as nearly always: all of it is here
            cycle.on(WHOLE_REQUEST)
            request.take_all(data[start : start + left])
            data = data[start + left :]
            if self.flow.read_paused:
                self.flow.resume_reading()
        else:
            cycle.on(HEAD_BEFORE_BODY)
            self._left = left
            if left == CHUNKED:
                self._chunks = Chunks()
            data = self._take_body(data[start:])
            if cycle.state is LINGERING:
                return b""
        self.flow.hasten(len(shared.runners) < _FEW)
        response = Response(cycle, self, head)
        runner.start(shared.answer(request, response), response)
        return data

    def _read_head(self, data: bytes) -> tuple[bytes, RequestHead | None]:
        """`data` from its head on, if that is whole and in order; hold what is less than one."""
        if data[0] < b"A"[0]:
            data = data.lstrip(b"\r\n")
        end = data.find(b"\r\n\r\n") + 4
        try:
            if end >= 4:
                self._head = read_head(data[:end], self._head)
                return data, self._head
            if data:
                self._hold_head(data)
        except AiroxyError as error:
            self._refuse(error)
        return b"", None

    def _take_body(self, data: bytes) -> bytes:
        """Pass the body on, and give what follows it."""
        left, request = self._left, self._request
        if left == CHUNKED:
            return self._take_chunks(data)
        assert request
        if len(data) < left:
            self._left -= len(data)
            self._deadline.set(self.loop.time() + self._timeouts.body)
            if data:
                request.take(data)
            return b""
        request.take(data[:left])
        self._end_body(request)
        return data[left:]

    def _take_chunks(self, data: bytes) -> bytes:
        request, chunks = self._request, self._chunks
        assert request and chunks  # noqa: PT018
        try:
            body = chunks.feed(data)
        except AiroxyError as error:
            self._refuse(error)
            return b""
        if body:
            request.take(body)
        if not chunks.ended:
            self._deadline.set(self.loop.time() + self._timeouts.body)
            if chunks.pending:  # others have their turn, and no more comes meanwhile
                self.flow.pause_reading()
                self.loop.call_soon(self._go_on)
            return b""
        self._end_body(request)
        if chunks.rest:
            self._refuse(InvalidInput("Invalid HTTP request: a request out of turn."))
        return b""

    def _go_on(self) -> None:
        """The next step through chunks that are here."""
        if self._cycle.state is BODY and not self.transport.is_closing():
            self.flow.resume_reading()
            self._take_chunks(b"")

    def _end_body(self, request: Request) -> None:
        self._left, self._chunks = 0, None
        self._deadline.at = math.inf
        self._cycle.on(BODY_END)
        request.wake()
        # Nobody need ask for more of this body, but that the client leaves is to be seen.
        self.flow.resume_reading()

    def _hold(self, data: bytes) -> bytes:
        """Keep it for later. Reading goes on for as long as it can be afforded, so that a client's
        leaving is seen."""
        self._held = data
        if len(data) > request_head.LIMIT:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()
        return b""

    def _hold_head(self, data: bytes) -> None:
        request_head.check_beginning(data)
        if self._cycle.state is IDLE:
            self._deadline.set(self.loop.time() + self._timeouts.head)
        self._cycle.on(PART_OF_HEAD)
        self._hold(data)

    def _drop(self, data: bytes) -> bytes:
        """Read past a body that nobody wants, without looking into it, and give what follows."""
        left, state = self._left, self._cycle.state
        if state is LINGERING:
            if self._rest.is_over(len(data)):
                self._close()
            else:
                self._rest.more(self.loop.time())
            return b""
        if left == CHUNKED:
            return b""
        if len(data) < left:
            self._left -= len(data)
            if state is REST:
                self._rest.more(self.loop.time())
            return b""
        self._left = 0
        if self._cycle.on(BODY_END) is DONE:
            self._begin_next()
        return data[left:]

    # After an answer

    def _begin_next(self) -> None:
        self._cycle = Cycle()
        self._deadline.set(self.loop.time() + self._idle_time)
        if self._held:  # not here, within the answer to the one before
            self.loop.call_soon(self.data_received, b"")
        elif self.flow.read_paused:
            self.flow.resume_reading()

    def _linger(self, *, refused: bool = False) -> None:
        """Close the connection so that the client can read its answer first: bytes that come to a
        closed socket, or lie there unread, would take it away by a reset."""
        held, self._held = self._held, b""
        if self.transport.is_closing():
            return
        can_half_close = self.transport.can_write_eof()  # not with TLS
        if not (self._left or held or self.flow.arrived() or (refused and can_half_close)):
            self._close()
            return
        self._wait_for_rest()
        if can_half_close:  # else the client goes by the answer's length
            self.transport.write_eof()

    def _wait_for_rest(self) -> None:
        taken = 0
        if self._chunks:
            taken = self._chunks.received
        elif self._left and self._head:
            taken = self._head.length - self._left
        self._rest.wait(self.loop.time(), self._left, taken)
        self.flow.resume_reading()

    def _refuse(self, error: AiroxyError) -> None:
        """Answer what is no HTTP, or too much of it, or too slow, and hang up. An answer to a
        request before it is finished first."""
        self._held = b""
        if self._cycle.on(FAULT) is not LINGERING:
            return
        self.write(last_answer(error, self._head))
        if self._request is not None:
            self._request.leave()
        self._linger(refused=True)

    def _close(self) -> None:
        self._cycle.on(CLOSE)
        self.transport.close()

    def _give_way(self) -> bool:
        """Close the connection, if it only waits for a request."""
        if self._cycle.state not in (IDLE, HEAD) or self.flow.arrived():
            return False
        self._close()
        return True

    # Time limits

    def expire_in(self, seconds: float) -> None:
        """Close the connection once it has been idle for that long; only less than before is
        heeded."""
        if seconds < self._idle_time:
            self._idle_time = seconds
            if self._cycle.state not in ANSWERING:
                self._deadline.set(min(self._deadline.at, self.loop.time() + seconds))

    def _expire(self) -> None:
        """Bytes that arrive in the same moment must not be lost."""
        if self.transport.is_closing():
            return
        state = self._cycle.state
        if state is BODY:
            if self.flow.read_paused or self.flow.arrived():
                self._deadline.set(self.loop.time() + self._timeouts.body)
                return
            self._refuse(body_timed_out())
        elif state is IDLE and (self._held or self.flow.arrived()):
            self._deadline.set(self.loop.time() + 1.0)
        elif state not in ANSWERING:
            self._close()

    #: In all other states nothing counts that comes.
    _TAKERS: ClassVar[dict[State, Callable[[ClientConnection, bytes], bytes]]] = {
        IDLE: _take_head,
        HEAD: _take_head,
        BODY: _take_body,
        WHOLE: _hold,
        ANSWER: _hold,
        EARLY: _drop,
        REST: _drop,
        LINGERING: _drop,
    }
