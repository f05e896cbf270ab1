"""Deletes detailed rows that are older than they are kept, and gives the disk back what that frees.

The law: the sums have every row already, so the job may be killed at any moment and run again.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass

import apsw

from airoxy.jobs.slices import Pause, in_slices
from airoxy.store import ledger, schema


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
    pause: Pause = time.sleep,
) -> Tidied:
    """Keep `retention_days` whole days and today, in UTC."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    before = today - datetime.timedelta(retention_days)
    rows = in_slices(db, lambda most: ledger.delete_slice(db, before, most), pause)
    pages = in_slices(db, lambda most: schema.shrink(db, most), pause)
    return Tidied(before, rows, pages * schema.page_size(db))
