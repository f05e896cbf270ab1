"""Tells the agent of a fleet what the server holds of limits and how much it is asked.

Invariant: the division is read before the counters. Whoever was let in by a share of before is in
what is reported, or has been counted; whoever comes later is let in by that division.
"""

from __future__ import annotations

from functools import partial

import apsw

from airoxy.server.limits.counters import LimitCounters
from airoxy.server.writer import Writer
from airoxy.store.fleet.shares import divisions, report


class ShareReport:
    """Of all workers one reports; `db` never waits for a lock."""

    def __init__(self, counters: LimitCounters, db: apsw.Connection, writer: Writer) -> None:
        self._counters, self._db, self._writer = counters, db, writer
        self._last: dict[int, tuple[int, int]] | None = None

    def report(self) -> None:
        """Called every second; nothing where this host is alone."""
        try:
            found = divisions(self._db)
        except apsw.Error:
            return
        if found is None or not self._counters.may_report():
            return
        division, reported = found
        with self._counters.turn():
            totals = self._counters.totals()
        if division != reported or totals != self._last:
            self._last = totals
            self._writer.do(partial(report, division=division, totals=totals))
