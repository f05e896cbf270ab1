"""Turns of the event loop, shared fairly by the client keys that use it at the same time.

The loop handles everything that is ready in one turn, so that all clients would wait for a key with
many requests. While other keys have requests, too, only a little of a key's work is done in one
turn, and the rest in the next ones, first come, first served. Requests without a valid key count as
those of one key.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable

#: How much work a key may begin in one turn, in units of a request or a piece of an answer (75 µs).
AT_ONCE = 2
#: Seconds for which a request of another key is remembered.
_SHARED = 1.0
#: Stands for the key of all requests without a valid one.
NOBODY = 0


class Turns:
    """Belongs to one event loop. `shared` is whether several keys are active: requests of another
    key are remembered for so many `seconds`."""

    def __init__(self, seconds: float = _SHARED) -> None:
        self.seconds = seconds
        self.shared = False
        self._last_key = NOBODY
        self._shared_until = 0.0
        self._is_due = False
        self._used: Counter[int] = Counter()
        self._waiting: dict[int, deque[Callable[[], int]]] = {}

    def are_shared(self, key_id: int, now: float) -> bool:
        """Whether this request of the key has to `wait` before it begins."""
        if key_id != self._last_key:
            self._last_key = key_id
            self._shared_until = now + self.seconds
        self.shared = now < self._shared_until
        return self.shared

    def is_used_by(self, key_id: int) -> bool:
        """The same for what is no request."""
        if key_id != self._last_key:
            return self.are_shared(key_id, time.time())
        return self.shared

    async def wait(self, key_id: int, cost: int = 1) -> None:
        """Until a turn in which little of the key has begun."""
        if not self.begin(key_id, cost):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def go_on() -> int:
                if turn.done():  # its client has left
                    return 0
                turn.set_result(None)
                return cost

            self.queue(key_id, go_on)
            await turn

    def begin(self, key_id: int, cost: int = 1) -> bool:
        """Whether there is room for this in the present turn, which is taken."""
        if self._used[key_id] >= AT_ONCE or key_id in self._waiting:
            return False
        self._used[key_id] += cost
        self._renew()
        return True

    def queue(self, key_id: int, go_on: Callable[[], int]) -> None:
        """Call `go_on` in a later turn. It returns what it has cost; 0: it was not needed."""
        self._waiting.setdefault(key_id, deque()).append(go_on)
        self._renew()

    def _renew(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """The next turn has come: let those go on who have waited longest."""
        self._used.clear()
        self._is_due = False
        self.shared = time.time() < self._shared_until
        if not self._waiting:
            return
        self._renew()
        for key_id, waiting in tuple(self._waiting.items()):
            while waiting and self._used[key_id] < AT_ONCE:
                self._used[key_id] += waiting.popleft()()
            if not waiting:
                del self._waiting[key_id]


class TurnsOfKey:
    """What one key has of them."""

    __slots__ = ("_key_id", "_turns")

    def __init__(self, turns: Turns, key_id: int) -> None:
        self._turns = turns
        self._key_id = key_id

    @property
    def limited(self) -> bool:
        """Whether others have to be considered: something of this key is there to be done."""
        return self._turns.is_used_by(self._key_id)

    def begin(self, cost: int) -> bool:
        """See `Turns`."""
        return self._turns.begin(self._key_id, cost)

    def queue(self, go_on: Callable[[], int]) -> None:
        """See `Turns`."""
        self._turns.queue(self._key_id, go_on)

    async def pause(self) -> None:
        """Wait between two steps of half a millisecond; a key takes one such step in a turn."""
        await asyncio.sleep(0)
        await self.turn()

    async def turn(self) -> None:
        """Wait for a turn of the key's own, if other keys use the loop, too: for work that many
        requests may continue with at once."""
        if self.limited:
            await self._turns.wait(self._key_id, AT_ONCE)
