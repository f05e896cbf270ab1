"""Moves the rollups on to the newest day that is over, some rows at a time."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import datetime

import apsw

from airoxy.calendar import day_number
from airoxy.store.schema import run
from airoxy.store.usage.rollups.tables import BY_MODEL, rolling


def roll_up(db: apsw.Connection, today: datetime.date, limit: int) -> int:
    """Roll up the next `limit` daily sums, and those of the same key and day, of the days before
    `today`, in the caller's transaction; how many, fewer than `limit` if that were the last."""
    ((day, key),) = run(db, "SELECT day, api_key_id FROM rollup_horizon")
    end = day_number(today)
    if day >= end:
        return 0
    rows = run(
        db,
        "SELECT day, api_key_id FROM daily WHERE (day, api_key_id) >= (?, ?) AND day < ?"
        " ORDER BY day, api_key_id LIMIT ?",
        (day, key, end, limit),
    )
    if not rows:
        return 0  # and nothing is written
    following = (rows[-1][0], rows[-1][1] + 1) if len(rows) == limit else (end, 0)
    names = [name for (name,) in run(db, f"SELECT name FROM pragma_table_info('{BY_MODEL.table}')")]
    for statement in rolling(names[len(BY_MODEL.group) :]):
        run(db, statement, (day, key, *following))
    run(db, "UPDATE rollup_horizon SET day = ?, api_key_id = ?", following)
    return len(rows)
