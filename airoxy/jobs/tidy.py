"""Deletes detailed rows and audit entries that are past their retention, forgets batches and files
that have expired, and returns what that frees to the disk.

Invariant: the sums have every row already, so the job may be killed at any moment and run again.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass

import apsw

from airoxy.calendar import DAY_MS, day_of
from airoxy.jobs.slices import Pause, in_slices
from airoxy.store import resources, schema
from airoxy.store.audit import trail
from airoxy.store.fleet.membership import may_delete
from airoxy.store.usage import requests


@dataclass(frozen=True)
class Tidied:
    """What the job did."""

    before: datetime.date
    rows: int
    forgotten: int
    freed: int

    def __str__(self) -> str:
        if not (self.rows or self.forgotten or self.freed):
            return f"Nothing to tidy: no detailed row is from before {self.before}."
        forgotten = f"{self.forgotten:,} batches and files forgotten, " if self.forgotten else ""
        return (
            f"{self.rows:,} detailed rows from before {self.before} deleted, {forgotten}"
            f"{self.freed / 1e6:,.1f} MB given back."
        )


def tidy_log(
    db: apsw.Connection,
    retention_days: int,
    now: float,
    pause: Pause = time.sleep,
    zone: datetime.tzinfo = datetime.UTC,
    *,
    keep_rows: int = 0,
) -> Tidied:
    """Keep `retention_days` whole days and today, in `zone`; and of what a fleet has not been given
    yet the newest `keep_rows`."""
    before = day_of(now, zone) - datetime.timedelta(retention_days)
    last = may_delete(db, keep_rows)
    rows = in_slices(db, lambda most: requests.delete_slice(db, before, most, zone, last), pause)
    forgotten = _forget_resources(db, now, pause)
    pages = in_slices(db, lambda most: schema.shrink(db, most), pause)
    return Tidied(before, rows, forgotten, pages * schema.page_size(db))


def tidy_audit(
    db: apsw.Connection, retention_days: int, now: float, pause: Pause = time.sleep
) -> int:
    """How many entries of the audit trail were deleted."""
    before = now - retention_days * DAY_MS / 1000
    return in_slices(db, lambda most: trail.forget_before(db, before, most), pause)


def _forget_resources(db: apsw.Connection, now: float, pause: Pause) -> int:
    """Look at every resource; returns how many were forgotten."""
    last, forgotten = "", 0

    def look(most: int) -> int:
        nonlocal last, forgotten
        last, gone = resources.prune(db, last, most, now)
        forgotten += gone
        return most if last else 0

    in_slices(db, look, pause)
    return forgotten
