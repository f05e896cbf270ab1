"""Backpressure on one client's connection, in both directions."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import time
from collections.abc import Callable

from airoxy.server.turns import AT_ONCE, NOBODY, Turns

#: After a read of so many bytes a key reads nothing else in this turn of the loop, if other keys
#: use the loop, too: large reads of many connections would make one long turn.
LARGE = 32 * 1024
#: How often a connection that is not read is checked for its client's end (seconds).
_LOOK = 1.0
_LEFT = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Flow:
    """`write_paused` while the client does not read; `read_paused` while its bytes wait in the
    kernel until somebody wants them, and not only for a turn of the loop. `key_id` is the client
    key whose turns these are, once it is known."""

    __slots__ = (
        "_can_hasten", "_drained", "_hastened", "_look_timer", "_loop", "_on_stall", "_transport",
        "_turns", "_waits_for_turn", "key_id", "read_paused", "write_paused",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        secure: bool,
        turns: Turns | None = None,
    ) -> None:
        self.key_id = NOBODY
        self._turns = turns
        self._waits_for_turn = False
        self.read_paused = self.write_paused = False
        self._loop = loop
        self._transport = transport
        self._on_stall: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._hastened = False
        #: uvloop's TLS with a limit of nothing would never be resumed.
        self._can_hasten = not secure

    def pause_reading(self, on_stall: Callable[[], None] | None = None) -> None:
        """Let what the client sends wait in the kernel; `on_stall` is called once a second."""
        self._on_stall = on_stall
        if not self.read_paused and not self._transport.is_closing():
            self.read_paused = True
            if not self._waits_for_turn:
                self._transport.pause_reading()
            if self._look_timer is None:
                self._look_timer = self._loop.call_later(_LOOK, self._look)

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused and not self._transport.is_closing():
            self.read_paused = False
            if not self._waits_for_turn:
                self._transport.resume_reading()

    def take_turns(self) -> None:
        """Much has been read: read on in a later turn of the loop, if others use it, too."""
        turns = self._turns
        if turns is None or self._waits_for_turn or self._transport.is_closing():
            return
        if turns.are_shared(self.key_id, time.time()):
            self._waits_for_turn = True
            if not self.read_paused:
                self._transport.pause_reading()
            turns.queue(self.key_id, self._read_on)

    def _read_on(self) -> int:
        self._waits_for_turn = False
        if self.read_paused or self._transport.is_closing():
            return 0
        self._transport.resume_reading()
        return AT_ONCE

    def pause_writing(self) -> None:
        """The client does not read."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The client reads again, or never will."""
        self.write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    async def drain(self) -> None:
        """Wait until the client has read some of what was written."""
        self._drained = self._loop.create_future()
        await self._drained

    def hasten(self, wanted: bool) -> None:
        """Whether what is written goes out at once: uvloop lets wait what is below the limit."""
        if wanted != self._hastened and self._can_hasten:
            self._hastened = wanted
            self._transport.set_write_buffer_limits(high=0 if wanted else None)

    def reset(self) -> None:
        """Close at once, so that the client sees a reset; the last bytes may be lost with it."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def end(self) -> None:
        """The socket is gone."""
        self.resume_writing()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    def arrived(self) -> bool:
        """Whether something is there that the loop has not read yet: timers come before reading."""
        return bool(self._poll(select.POLLIN))

    def _look(self) -> None:
        """The loop does not hear of a client's end behind bytes that it does not read."""
        self._look_timer = None
        if not self.read_paused or self._transport.is_closing():
            return
        if self._poll(_LEFT):
            self._transport.abort()
        else:
            self._look_timer = self._loop.call_later(_LOOK, self._look)
            if self._on_stall is not None:
                self._on_stall()

    def _poll(self, events: int) -> bool:
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), events)
        return bool(poll.poll(0))
