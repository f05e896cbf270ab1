"""What becomes of the counts of batches' results once the fleet has decided which host has them."""

from __future__ import annotations

import time
from functools import partial

import apsw

from airoxy.server.metrics.counters import MetricCounters
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.writer import Writer
from airoxy.store import token_spending
from airoxy.store.fleet import claims
from airoxy.store.fleet.claims import Settled

#: With what tokens have spent by the database.
_Taken = tuple[Settled, dict[int, tuple[int, int]]]


class SettledClaims:
    """The metrics, whose counters may only rise, have such a request from then on; the limits of
    upstream tokens had its cost before, and lose it where it was another host's."""

    def __init__(
        self, db: apsw.Connection, writer: Writer, counters: MetricCounters, tokens: SpentByTokens
    ) -> None:
        self._db, self._writer, self._counters, self._tokens = db, writer, counters, tokens

    def look(self) -> None:
        """Called every second, by all workers: each decision is taken by one of them."""
        try:
            is_there = claims.is_settled(self._db)
        except apsw.Error:
            return
        if is_there:
            taken: list[_Taken] = []  # of this look: the next may come before it is written
            self._writer.do(partial(_take, taken), partial(self._apply, taken))

    def _apply(self, taken: list[_Taken]) -> None:
        for found, spent in taken:
            self._counters.count(found.rows)
            for token_id, nanousd in found.lost.items():
                known = spent.get(token_id, (0, 0))
                self._tokens.take_back(token_id, nanousd, time.time(), *known)


def _take(taken: list[_Taken], db: apsw.Connection) -> None:
    """In the writer's transaction, behind the rows that waited to be written."""
    found = claims.take_settled(db)
    taken[:] = [(found, token_spending.spent(db, time.time()) if found.lost else {})]
