"""What the client sends: its body, collected or streamed through, and the news that it has left.

Invariant: a body is held in memory once (a small one for a moment twice). What is larger than
STREAM_ABOVE at an upload endpoint is never collected.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from airoxy.core.request.head import CHUNKED
from airoxy.core.request.paths import STREAM_ABOVE, is_upload
from airoxy.errors import TooLarge
from airoxy.server.admission import Newcomer
from airoxy.server.body_budget import UNCOUNTED, BodyBudget
from airoxy.server.collected import Collected
from airoxy.server.http.flow import Flow
from airoxy.server.http.head import RequestHead
from airoxy.server.http.runner import Runner
from airoxy.server.http.states import GONE, HAS_BODY, Cycle
from airoxy.upstream.exchange import Exchange

#: How much of a body is read while nothing is waiting for it (bytes).
HIGH_WATER = 64 * 1024
#: How much more is read with each second of that, and the most in all (bytes). The end of a client
#: that has left only shows behind what its kernel still has to send, 4 MiB as a rule.
_MORE_WATER, _MOST_WATER = 2 * 1024 * 1024, 32 * 1024 * 1024
#: Bodies up to this size are joined when they are complete, larger ones as they arrive (bytes).
_SMALL = 1024 * 1024
#: Largest piece of a streamed body that is handed on at once (bytes).
_PIECE = 256 * 1024


class ClientLeft(Exception):
    """The client has closed its connection: no error, and there is nobody to answer."""


class Inlet(Protocol):
    """What a request needs of its connection."""

    flow: Flow
    transport: asyncio.Transport
    newcomer: Newcomer

    def send_continue(self) -> None:
        """Tell the client that its body is welcome."""


class Request:
    """One request. `length` is of its body, None if it is not known."""

    __slots__ = (
        "_budget",
        "_collected",
        "_cycle",
        "_enough",
        "_expects",
        "_high_water",
        "_inlet",
        "_key_id",
        "_pieces",
        "_reserved",
        "_size",
        "_waiter",
        "_watched",
        "head",
        "length",
        "runner",
    )  # fmt: skip

    def __init__(self, cycle: Cycle, inlet: Inlet, head: RequestHead, runner: Runner) -> None:
        self.head = head
        self.runner = runner
        self.length = None if head.length == CHUNKED else head.length
        self._cycle = cycle
        self._inlet = inlet
        #: The client may be waiting to hear that its body is welcome.
        self._expects = head.expects
        self._pieces: list[bytes] = []
        self._collected: Collected | None = None
        self._size = 0
        self._high_water = HIGH_WATER
        #: Above this many bytes there is something to do before all are there.
        self._enough = 0
        self._waiter: asyncio.Future[None] | None = None
        self._budget: BodyBudget | None = None
        self._key_id = self._reserved = 0
        self._watched: Exchange | None = None

    # For the application.

    @property
    def ended(self) -> bool:
        """All of the body has arrived."""
        return self._cycle.state in HAS_BODY

    @property
    def left(self) -> bool:
        """The client is gone: nobody is there to be answered."""
        return self._cycle.state in GONE

    @property
    def client(self) -> tuple[str, int] | None:
        """The address and port that it came from, where the connection still knows."""
        peer = self._inlet.transport.get_extra_info("peername")
        return peer[:2] if peer else None

    def small_body(self) -> bytes | bytearray | None:
        """All of it, if that is here already and below all limits."""
        return self._taken() if self._size <= UNCOUNTED and self._cycle.state in HAS_BODY else None

    def identified(self, key_id: int) -> None:
        """The client has shown a valid key."""
        flow = self._inlet.flow
        if flow.key_id != key_id:  # the connection's first one
            flow.key_id = key_id
            self._inlet.newcomer.identified()

    async def body(
        self, budget: BodyBudget | None = None, key_id: int = 0
    ) -> bytes | bytearray | AsyncIterator[bytes]:
        """All of it, or an iterator over what is too large. What is collected counts in the budget,
        if there is one, until `release`. Raises TooLarge, ClientLeft, the budget's refusal."""
        if (small := self.small_body()) is not None:
            return small
        # What is below this is below all limits, and most bodies are.
        if max(self.length or 0, self._size) > STREAM_ABOVE:
            self._check(self.length or self._size)
        self._budget, self._key_id = budget, key_id
        streams = is_upload(self.head.path)
        if not streams or (self.length or self._size) <= STREAM_ABOVE:
            await self._reserve(self.length or self._size)
        self._enough = _SMALL
        while not self.ended:
            if streams and max(self.length or 0, self._size) > STREAM_ABOVE:
                return self._rest()
            await self._more()
            self._check(self._size)
            if self._size > self._reserved:  # it comes in chunks
                await self._reserve(_SMALL)
        return self._taken()

    async def _reserve(self, size: int) -> None:
        """Wait for room in the budget, for a while, without reading on."""
        budget = self._budget
        if budget is not None:
            if not budget.take(self._key_id, size):
                await self._wait_for_room(budget, size)
            self._reserved += size

    async def _wait_for_room(self, budget: BodyBudget, size: int) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + budget.patience
        timer = loop.call_at(end, self.wake)
        budget.waiting[self.wake] = None
        self._inlet.flow.pause_reading()
        try:
            while not budget.take(self._key_id, size):
                if loop.time() >= end:
                    raise budget.refusal(self._key_id, size)
                await self._wait()
                if self.left:
                    raise ClientLeft
        finally:
            timer.cancel()
            del budget.waiting[self.wake]

    def release(self) -> None:
        """The body is not held any more."""
        if (reserved := self._reserved) and self._budget is not None:
            self._reserved = 0
            self._budget.give_back(self._key_id, reserved)

    async def _rest(self) -> AsyncIterator[bytes]:
        self._enough = total = 0
        while True:
            for piece in self._taken_pieces():
                total += len(piece)
                self._check(total)
                yield piece
            if self.ended and not self._size:
                return
            if not self._size:
                await self._more()

    def watch(self, exchange: Exchange) -> None:
        """From now on the client's leaving aborts `exchange`, whatever it is waiting for. Raises
        ClientLeft."""
        if self._cycle.state in GONE:
            raise ClientLeft
        self._watched = exchange

    def forget(self) -> None:
        """There is nothing left to abort, and nobody needs what of the body may still come."""
        self._watched = None
        if self._cycle.state not in HAS_BODY:
            self._pieces.clear()
            self._collected = None
            self._size = 0

    # For the connection.

    @property
    def awaits_continue(self) -> bool:
        """The client asked whether its body may come, and was not told."""
        return self._expects

    def take_all(self, body: bytes) -> None:
        """All of the body, which came together with the head."""
        if body:
            self._pieces.append(body)
            self._size = len(body)

    def take(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._size += len(piece)
        if self._collected is None:
            self._pieces.append(piece)
        else:
            self._collected.add(piece)
        if self._size > self._high_water and self._waiter is None:
            self._inlet.flow.pause_reading(self.stall)
        if self._size > self._enough:
            self.wake()

    def stall(self) -> None:
        """Reading has been paused for a while: look further for the client's end."""
        budget = self._budget
        if budget and self._size < _MOST_WATER and budget.take(self._key_id, _MORE_WATER):
            self._reserved += _MORE_WATER
            self._high_water = self._size + _MORE_WATER
            self._inlet.flow.resume_reading()

    def leave(self) -> None:
        """The client has left."""
        if self._watched is not None:
            self._watched.abort(ClientLeft())
        self.wake()

    def wake(self) -> None:
        """Something has changed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _more(self) -> None:
        if self.left:
            raise ClientLeft
        if self._expects:
            self._expects = False
            if not self._size:
                self._inlet.send_continue()
        self._inlet.flow.resume_reading()
        await self._wait()
        if self.left:
            raise ClientLeft
        if self._size > _SMALL and self._collected is None:
            self._collected = Collected(self.length or 2 * self._size)
            for piece in self._pieces:
                self._collected.add(piece)
            self._pieces.clear()

    def _taken_pieces(self) -> Iterator[bytes]:
        """What is there, in pieces that are copied in no time."""
        if self._collected is not None:
            body = memoryview(self._taken())
            for start in range(0, len(body), _PIECE):
                yield bytes(body[start : start + _PIECE])
            return
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._high_water = HIGH_WATER
        group: list[bytes] = []
        size = 0
        for piece in pieces:
            group.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield b"".join(group)
                group, size = [], 0
        if group:
            yield b"".join(group)

    def _taken(self) -> bytes | bytearray:
        self._size = 0
        self._high_water = HIGH_WATER
        if self._collected is not None:
            collected, self._collected = self._collected, None
            return collected.take()
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def _check(self, size: int) -> None:
        limit = self.head.limit
        if size > limit:
            raise TooLarge(f"Request exceeds the maximum size of {limit // (1024 * 1024)} MB.")

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter
