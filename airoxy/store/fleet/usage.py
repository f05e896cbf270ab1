"""What of the usage log goes to the fleet: rows by their ids, and the sums as they stand.

The columns are those that the tables have, so that a new one is carried without a word here.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import DAY_MS
from airoxy.store.schema import run

#: What one sum is of.
GROUP = ("day", "api_key_id", "token_id", "model", "group_id")
#: The sums that another host has given to the fleet already, where this one began as its copy.
BASELINE = "fleet_baseline"


class Column(NamedTuple):
    """`type` is SQLite's; `required`: it is never NULL."""

    name: str
    type: str
    required: bool


def columns(db: apsw.Connection, table: str) -> tuple[Column, ...]:
    """Of a table, in their order."""
    rows = run(db, 'SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,))
    return tuple(Column(name, kind, bool(required)) for name, kind, required in rows)


def rows_after(db: apsw.Connection, last: int, limit: int) -> list[tuple[Any, ...]]:
    """The next rows of the log, with all their columns."""
    return run(db, "SELECT * FROM requests WHERE id > ? ORDER BY id LIMIT ?", (last, limit))


def last_given(db: apsw.Connection) -> int:
    """The highest id that a request ever had here."""
    rows = run(db, "SELECT seq FROM sqlite_sequence WHERE name = 'requests'")
    return int(rows[0][0]) if rows else 0


def touched_sums(
    db: apsw.Connection, touched: Iterable[tuple[int, int, int | None]]
) -> list[tuple[Any, ...]]:
    """The sums that requests at these times (milliseconds), of these keys and tokens, may be in.
    Whatever day that is where sums are kept, it is no other than the day in UTC or one beside it.
    """
    wanted = {(at // DAY_MS, key, token or 0) for at, key, token in touched}
    days = {(day + n, key, token) for day, key, token in wanted for n in (-1, 0, 1)}
    where = "day = ? AND api_key_id = ? AND token_id = ?"
    return _less_baseline(
        db, [row for each in sorted(days) for row in run(db, f"{_ALL} WHERE {where}", each)]
    )


def sums_of_days(db: apsw.Connection, days: Collection[int]) -> list[tuple[Any, ...]]:
    """All sums of these days."""
    found = [row for day in sorted(days) for row in run(db, f"{_ALL} WHERE day = ?", (day,))]
    return _less_baseline(db, found)


def totals_of_days(db: apsw.Connection) -> dict[int, int]:
    """For each day one number in which all of its counts are."""
    totals: dict[int, int] = {}
    counts = range(len(GROUP), len(columns(db, "daily")))
    for row in _less_baseline(db, run(db, _ALL)):
        totals[row[0]] = totals.get(row[0], 0) + sum(row[at] for at in counts)
    return totals


def take_baseline(db: apsw.Connection, after: int) -> None:
    """In the caller's transaction: only what the requests after this id have added to the sums is
    this host's own. The trigger that sums them says what that is."""
    names = [column.name for column in columns(db, "requests") if column.name != "id"]
    listed = ", ".join(names)
    run(db, "SAVEPOINT own; DELETE FROM daily")
    run(
        db,
        f"INSERT INTO requests ({listed}) SELECT {listed} FROM requests WHERE id > ? ORDER BY id",
        (after,),
    )
    own = run(db, _ALL)
    run(db, "ROLLBACK TO own; RELEASE own")
    run(db, f"DROP TABLE IF EXISTS {BASELINE}; CREATE TABLE {BASELINE} AS {_ALL}")
    counts = [column.name for column in columns(db, "daily") if column.name not in GROUP]
    lower = ", ".join(f"{name} = {name} - ?" for name in counts)
    group = " AND ".join(f"{name} = ?" for name in GROUP)
    for row in own:
        amounts = (*row[len(GROUP) :], *row[: len(GROUP)])
        run(db, f"UPDATE {BASELINE} SET {lower} WHERE {group}", amounts)


_ALL = "SELECT * FROM daily"


def _less_baseline(db: apsw.Connection, rows: list[Any]) -> list[tuple[Any, ...]]:
    if not run(db, "SELECT 1 FROM sqlite_schema WHERE name = ?", (BASELINE,)):
        return rows
    size = len(GROUP)
    before = {
        row[:size]: row[size:]
        for row in run(db, f"SELECT * FROM {BASELINE} WHERE day IN (SELECT day FROM daily)")
    }
    return [
        (*row[:size], *(n - less for n, less in zip(row[size:], before[row[:size]], strict=False)))
        if row[:size] in before
        else row
        for row in rows
    ]
