"""Tells the agent of a fleet what the server has used of limits and how much it is asked.

Invariant: the division is read before the counters. Whoever was let in by a share of before is in
what is reported, or has been counted; whoever comes later is let in by that division.
"""

from __future__ import annotations

import time
from functools import partial

import apsw

from airoxy.server.limits.counters import LimitCounters
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.writer import Writer
from airoxy.store.fleet.shares import (
    DividedLimit,
    InMemory,
    TokenSpending,
    divisions,
    report,
)

#: Keys of one turn (about half a millisecond).
_AT_ONCE = 64


class ShareReport:
    """Of all workers one reports; `db` never waits for a lock."""

    def __init__(
        self,
        counters: LimitCounters,
        tokens: SpentByTokens,
        db: apsw.Connection,
        writer: Writer,
    ) -> None:
        self._counters, self._tokens = counters, tokens
        self._db, self._writer = db, writer
        self._last: tuple[object, object] | None = None

    def report(self) -> None:
        """Called every second; nothing where this host is alone."""
        try:
            found = divisions(self._db)
        except apsw.Error:
            return
        if found is None or not self._counters.may_report():
            return
        division, reported = found
        totals, now = self._totals(), time.time()
        spending = dict[DividedLimit, TokenSpending]()
        for number in totals:
            if number < 0:
                spending |= self._tokens.told(-number, now)
        if division != reported or (totals, spending) != self._last:
            self._last = totals, spending
            told = partial(report, division=division, totals=totals, spending=spending)
            self._writer.do(told)

    def _totals(self) -> dict[int, InMemory]:
        """A few keys in a turn, so that no request waits for all of them."""
        counters, found = self._counters, dict[int, InMemory]()
        used, second = counters.used_slots(), int(time.time())
        for start in range(0, used, _AT_ONCE):
            with counters.turn():
                found |= counters.totals(range(start, min(start + _AT_ONCE, used)), second)
        return found
