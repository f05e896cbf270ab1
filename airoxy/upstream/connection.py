"""One HTTP/1.1 connection to the upstream, as an asyncio.Protocol: writing, flow control, time-out.

Invariant: whatever happens on the wire is recorded here and wakes the exchange that uses the
connection; nothing is raised into the event loop. An idle connection on which anything arrives is
closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Protocol, cast

from airoxy.errors import UpstreamBroken, UpstreamError, UpstreamTimeout
from airoxy.upstream.response import UpstreamResponse

#: Above this much unread body the socket is left alone until the reader has caught up; one read
#: of the event loop (256 KiB) may come on top.
HIGH_WATER = 256 * 1024
#: How much of an answer is parsed at once while other keys use the loop, too, and how much of one
#: that comes in many small chunks (bytes): a stream's events take some 10 ns a byte.
SLICE, FINE_SLICE = 32 * 1024, 16 * 1024
#: Nothing more is parsed while so much waits for the reader, which would take it all in one turn
#: (bytes).
_ENOUGH = 64 * 1024
_UNIT = 8 * 1024


class TurnShare(Protocol):
    """How much of the turns of the event loop the receiver of an answer may have."""

    @property
    def limited(self) -> bool:
        """Whether others have to be considered."""

    def begin(self, cost: int) -> bool:
        """Whether there is room in the present turn, which is taken."""

    def queue(self, go_on: Callable[[], int]) -> None:
        """Call `go_on` in a later turn; it returns its cost."""

    async def turn(self) -> None:
        """Wait for a turn, if others have to be considered."""


class UpstreamConnection(asyncio.Protocol):
    """`fault` is why no more can come; `sent` is set by its user when the request is out."""

    __slots__ = (
        "_answer", "_drained", "_held", "_held_from", "_on_lost", "_queued", "_read_timeout",
        "_share", "_timer", "_transport", "_wake", "active_at", "fault", "loop", "read_paused",
        "sent", "write_paused",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        read_timeout: float,
        on_lost: Callable[[UpstreamConnection], None],
    ) -> None:
        """`read_timeout`: seconds of silence; `on_lost` is called once, when the socket is gone."""
        self.fault: UpstreamError | None = None
        self.sent = True
        self.write_paused = False
        self.active_at = loop.time()
        self.loop = loop
        self._transport: asyncio.Transport | None = None
        self._read_timeout = read_timeout
        self._on_lost = on_lost
        self._answer: UpstreamResponse | None = None
        self._wake: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.read_paused = False
        self._share: TurnShare | None = None
        #: What has to wait for its turn, from this offset on; empty when all of it was looked at.
        self._held = b""
        self._held_from = 0
        self._queued = False
        self._drained: asyncio.Future[None] | None = None

    # For the exchange.

    def begin(
        self, answer: UpstreamResponse, wake: Callable[[], None], share: TurnShare | None = None
    ) -> None:
        """What arrives belongs to `answer` from now on; `wake` is called after each change."""
        self._answer = answer
        self._share = share
        self._wake = wake
        self.sent = False
        if self._timer is None:
            self._timer = self.loop.call_later(self._read_timeout, self._check_silence)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the socket, if it is still there."""
        self.active_at = self.loop.time()
        if self._transport is not None and self.fault is None:
            self._transport.write(data)

    async def drain(self) -> bool:
        """Wait until the socket takes more; False if it never will. The event loop runs in any
        case: a fast socket must not starve the others, and a failure has to be noticed."""
        if self.write_paused and self.fault is None:
            self._drained = self.loop.create_future()
            await self._drained
        else:
            await asyncio.sleep(0)
        return self.usable()

    def resume(self) -> None:
        """The reader has caught up."""
        if self._held:
            self._queue_held()
            return
        if self.read_paused and self._transport is not None and self.usable():
            self.read_paused = False
            self.active_at = self.loop.time()
            self._transport.resume_reading()

    def end(self) -> bool:
        """The exchange has ended: True if the connection can be used again, else it is closed."""
        answer, transport = self._answer, self._transport
        if (
            answer is not None
            and answer.complete
            and answer.reusable
            and self.sent
            and not self._held
            and self.fault is None
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        ):
            self._answer = self._wake = self._share = None
            if self.read_paused:
                self.resume()
            self.active_at = self.loop.time()
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """End the exchange and close the connection at once."""
        if self._answer is not None:
            self._answer.discard()
        self._answer = self._wake = self._share = None
        self._held, self._held_from = b"", 0
        self.abort()

    def usable(self) -> bool:
        """Open, as far as can be known."""
        transport = self._transport
        return self.fault is None and transport is not None and not transport.is_closing()

    def abort(self) -> None:
        """Close at once, whatever is still under way."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: UpstreamError) -> None:
        """Nothing more will come, because of `error`; the first reason counts."""
        if self.fault is None:
            self.fault = error
        self.abort()
        self._notify()

    # Callbacks of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open (and TLS is up)."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; on an idle connection, of none."""
        self.active_at = self.loop.time()
        answer = self._answer
        if answer is None:
            self.abort()
            return
        share = self._share
        if share is not None and (self._held or share.limited):
            self._hold(share, data)
            return
        self._feed(answer, data)

    def _hold(self, share: TurnShare, data: bytes) -> None:
        """Look at as much as there is room for in this turn, and let the rest wait."""
        if self._held:
            self._held = self._held[self._held_from :] + data
            self._held_from = 0
            return
        self._held = data
        self._queued = True  # whoever is woken now may ask for more
        while self._held and not self._has_enough and share.begin(self._cost):
            self._go_on()
        self._queued = False
        if self._held:
            self._pause_reading()
            self._queue_held()

    @property
    def _has_enough(self) -> bool:
        return self._answer is not None and self._answer.size > _ENOUGH

    def _queue_held(self) -> None:
        """Look at the rest in a later turn; with enough, when the reader asks for more."""
        share = self._share
        if share is not None and not self._queued and not self._has_enough:
            self._queued = True
            share.queue(self._go_on_later)

    def _go_on(self) -> None:
        # By an offset: the rest, of up to 256 KiB, would be copied for each slice.
        answer, start = self._answer, self._held_from
        end = start + self._slice
        data = self._held[start:end]
        if end < len(self._held):
            self._held_from = end
        else:
            self._held, self._held_from = b"", 0
        if answer is not None:
            self._feed(answer, data)

    @property
    def _slice(self) -> int:
        return FINE_SLICE if self._answer is not None and self._answer.is_fine else SLICE

    @property
    def _cost(self) -> int:
        """Of looking at the next slice, in requests that could begin instead."""
        return 1 + min(len(self._held) - self._held_from, self._slice) // _UNIT

    def _go_on_later(self) -> int:
        """The next turn has come; what it costs."""
        cost = self._cost
        self._queued = False
        if not self._held or self._share is None:
            return 0
        self._go_on()
        if self._held:
            self._queue_held()
        elif self._answer is not None and self._answer.size <= HIGH_WATER:
            self.resume()
        return cost

    def _feed_held(self) -> None:
        """No more comes: nothing is to be lost."""
        while self._held:
            self._go_on()

    def _feed(self, answer: UpstreamResponse, data: bytes) -> None:
        answer.feed(data)
        if answer.fault is not None:
            self.fail(UpstreamBroken(f"The upstream cannot be understood: {answer.fault}"))
            return
        if answer.size > HIGH_WATER:
            self._pause_reading()
        if self._wake is not None:
            self._wake()

    def _pause_reading(self) -> None:
        if not self.read_paused and self._transport is not None:
            self.read_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """The upstream sends no more; the transport closes itself after this."""
        self._feed_held()
        answer = self._answer
        if answer is None:
            self.abort()
            return
        if reason := self._socket_error():
            self.fail(UpstreamBroken(f"The upstream broke off: {reason}"))
            return
        answer.end()
        if answer.fault is not None:
            self.fail(UpstreamBroken(f"The upstream broke off: {answer.fault}"))
        else:
            self._notify()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is closed, by either side."""
        self._feed_held()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.fault is None:
            reason = str(error) if error is not None else "the connection was closed"
            self.fault = UpstreamBroken(f"The upstream broke off: {reason}")
        self._on_lost(self)
        self._notify()

    def pause_writing(self) -> None:
        """The socket is full."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.write_paused = False
        self.active_at = self.loop.time()
        self._release_writer()

    def _socket_error(self) -> str | None:
        """Why the stream ended. libuv reports a reset that arrives together with the last bytes as
        an ordinary end, which would complete an answer that lasts until the connection closes."""
        sock = self._transport and self._transport.get_extra_info("socket")
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if sock else 0
        return os.strerror(error).lower() if error else None

    def _notify(self) -> None:
        self._release_writer()
        if self._wake is not None:
            self._wake()

    def _release_writer(self) -> None:
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def _check_silence(self) -> None:
        """One timer for all reads: it compares with the time of the last byte, and is set again if
        that is too recent."""
        self._timer = None
        answer, now = self._answer, self.loop.time()
        if answer is None or answer.complete or self.fault is not None:
            return
        if self.read_paused or not (self.sent or self.write_paused):
            self.active_at = now  # airoxy makes it wait: a slow reader, or a body still arriving
        deadline = self.active_at + self._read_timeout
        if now < deadline:
            self._timer = self.loop.call_at(deadline, self._check_silence)
        else:
            seconds = f"{self._read_timeout:g}"
            self.fail(UpstreamTimeout(f"The upstream has been silent for {seconds} seconds"))
