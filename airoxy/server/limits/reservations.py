"""What is held in the counters for one request whose key or group has limits, from before it is
sent until it has been counted and its row is in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from airoxy.server.limits.counters import LimitCounters
from airoxy.store.usage.requests import Row


class Reservation:
    """Made when the request begins to run. `slots` are those of the key and of its groups, as far
    as they are metered, by their numbers."""

    def __init__(self, counters: LimitCounters, slots: Mapping[int, int]) -> None:
        self._counters = counters
        self.slots = slots
        self._nanousd = self._tokens = 0
        self._running = True
        self._row: Row | None = None
        self._hold(running=1)

    def hold(self, nanousd: int, tokens: int) -> None:
        """The most that the request can use, which is looked at once."""
        self._nanousd, self._tokens = nanousd, tokens
        self._hold(nanousd=nanousd, tokens=tokens)

    def leave(self) -> None:
        """The request no longer runs."""
        if self._running:
            self._running = False
            self._hold(running=-1)

    def count(self, make_row: Callable[[], Row]) -> Row:
        """The request's row, made once; what it says takes the place of what was held."""
        if self._row is not None:
            return self._row
        row = self._row = make_row()
        counters = self._counters
        with counters.turn():
            self._hold(nanousd=-self._nanousd, tokens=-self._tokens, unwritten=row.cost_nanousd)
            if self._tokens:
                used, now = row.usage.tokens_per_minute, int(time.time())
                for number, slot in self.slots.items():
                    if counters.find(number) == slot:
                        counters.count(slot, now, tokens=used)
        return row

    def written(self, row: Row, loop: asyncio.AbstractEventLoop) -> None:
        """The row is in the database (called by the writer's thread)."""
        loop.call_soon_threadsafe(partial(self._hold, unwritten=-row.cost_nanousd))

    def _hold(self, **changes: int) -> None:
        for number, slot in self.slots.items():
            self._counters.hold(slot, number, **changes)
