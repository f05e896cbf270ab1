"""Turns of the event loop, shared fairly by the client keys that use it at the same time.

A key with many requests at once would make everybody's wait for all of them, because whatever is
ready is handled in one turn of the loop. So only a few requests of a key begin in one turn, as long
as other keys have requests, too; the rest begin in the next ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

#: Requests of a key that begin in one turn: together they take some 150 µs.
AT_ONCE = 2
#: Seconds for which a request of another key is remembered.
_SHARED = 1.0


class Turns:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._last_key = 0
        self._shared_until = 0.0
        self._begun: Counter[int] = Counter()
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    def are_shared(self, key_id: int, now: float) -> bool:
        """Whether this request of the key has to `wait` before it begins."""
        if key_id != self._last_key:
            self._last_key = key_id
            self._shared_until = now + _SHARED
        return now < self._shared_until

    async def wait(self, key_id: int) -> None:
        """Until a turn in which few requests of the key have begun."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            loop.call_soon(self._next)
        elif self._begun[key_id] >= AT_ONCE:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.setdefault(key_id, deque()).append(turn)
            await turn
            return
        self._begun[key_id] += 1

    def _next(self) -> None:
        """The next turn has come: let those begin who have waited longest."""
        self._begun.clear()
        for key_id, waiting in tuple(self._waiting.items()):
            while waiting and self._begun[key_id] < AT_ONCE:
                turn = waiting.popleft()
                if not turn.done():  # its client has not left
                    turn.set_result(None)
                    self._begun[key_id] += 1
            if not waiting:
                del self._waiting[key_id]
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next)
