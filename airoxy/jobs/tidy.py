"""Deletes detailed rows that are older than they are kept, and gives the disk back what that frees.

The law: the write lock is held for moments only, and as long as it was held it is left to others.
The sums have every row already, so the job may be killed at any moment and run again.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from airoxy.store import ledger, schema

#: How long one slice may hold the write lock (seconds); the number of rows follows from it. Short,
#: because on a busy machine a slice is interrupted, and takes ten times as long, lock in hand.
SLICE = 0.003
#: The first slice, the smallest and the largest: of rows, and of pages.
_FIRST, _LEAST, _MOST = 200, 20, 10_000


@dataclass(frozen=True)
class Tidied:
    """What the job did."""

    before: datetime.date
    rows: int
    freed: int

    def __str__(self) -> str:
        if not self.rows and not self.freed:
            return f"Nothing to tidy: no detailed row is from before {self.before} (UTC)."
        return (
            f"{self.rows:,} detailed rows from before {self.before} (UTC) deleted, "
            f"{self.freed / 1e6:,.1f} MB given back."
        )


def tidy_log(
    db: apsw.Connection,
    retention_days: int,
    now: float,
    pause: Callable[[float], object] = time.sleep,
) -> Tidied:
    """Keep `retention_days` whole days and today, in UTC."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    before = today - datetime.timedelta(retention_days)
    rows = _in_slices(db, lambda most: ledger.delete_slice(db, before, most), pause)
    pages = _in_slices(db, lambda most: schema.shrink(db, most), pause)
    return Tidied(before, rows, pages * schema.page_size(db))


def _in_slices(
    db: apsw.Connection, work: Callable[[int], int], pause: Callable[[float], object]
) -> int:
    """Call `work` with how much it may do until it does less; how much it did altogether."""
    done, most = 0, _FIRST
    while True:
        with schema.transaction(db):
            began = time.monotonic()
            did = work(most)
        took = time.monotonic() - began
        done += did
        if did < most:
            return done
        most = max(_LEAST, min(_MOST, 2 * most, int(most * SLICE / took)))
        pause(took)
