"""What is held in the counters for one request of a key with limits, from before it is sent until
it has been counted and its row is in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from airoxy.server.limits.counters import LimitCounters
from airoxy.store.usage.requests import Row


class Reservation:
    """Made when the request begins to run."""

    def __init__(self, counters: LimitCounters, key_id: int, slot: int) -> None:
        self._counters = counters
        self.key_id, self.slot = key_id, slot
        self._nanousd = self._tokens = 0
        self._running = True
        self._row: Row | None = None
        counters.hold(slot, key_id, running=1)

    def hold(self, nanousd: int, tokens: int) -> None:
        """The most that the request can use, which is looked at once."""
        self._nanousd, self._tokens = nanousd, tokens
        self._counters.hold(self.slot, self.key_id, nanousd=nanousd, tokens=tokens)

    def leave(self) -> None:
        """The request no longer runs."""
        if self._running:
            self._running = False
            self._counters.hold(self.slot, self.key_id, running=-1)

    def count(self, make_row: Callable[[], Row]) -> Row:
        """The request's row, made once; what it says takes the place of what was held."""
        if self._row is not None:
            return self._row
        row = self._row = make_row()
        counters = self._counters
        with counters.turn():
            counters.hold(
                self.slot,
                self.key_id,
                nanousd=-self._nanousd,
                tokens=-self._tokens,
                unwritten=row.cost_nanousd,
            )
            if self._tokens and counters.find(self.key_id) == self.slot:
                used = row.usage.tokens_per_minute
                counters.count(self.slot, int(time.time()), tokens=used)
        return row

    def written(self, row: Row, loop: asyncio.AbstractEventLoop) -> None:
        """The row is in the database (called by the writer's thread)."""
        loop.call_soon_threadsafe(
            partial(self._counters.hold, self.slot, self.key_id, unwritten=-row.cost_nanousd)
        )
