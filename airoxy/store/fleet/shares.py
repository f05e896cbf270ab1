"""What this host may spend of each limit of money, and what its server holds of it, between the
server and the agent of a fleet.

Invariant: shares are made smaller here before the fleet is told; what the server held when it knew
of that is in `fleet_held` once `fleet.reported` is `fleet.division`.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import apsw

from airoxy.core.limits.division import HostShare
from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.core.limits.measures import Spend
from airoxy.core.limits.table import LIMITS
from airoxy.store.schema import run

_SPENDING = {limit.column: limit.measure.period.name for limit in LIMITS
             if isinstance(limit.measure, Spend)}  # fmt: skip


class SpendLimit(NamedTuple):
    """A limit of money: whose (the number as a Holder's), and in which of PERIODS, by its name."""

    number: int
    period: str


class InMemory(NamedTuple):
    """What the server's memory has of a key or group."""

    held: int = 0
    asked: int = 0


def limits_of_money(db: apsw.Connection) -> dict[SpendLimit, int]:
    """Those of all keys and groups, whether they are in force or not."""
    columns = ", ".join(_SPENDING)
    found = {}
    for number, *values in run(
        db,
        f"SELECT id, {columns} FROM api_keys WHERE removed_at IS NULL"
        f" UNION ALL SELECT id + {GROUPS_FROM}, {columns} FROM groups",
    ):
        for period, limit in zip(_SPENDING.values(), values, strict=True):
            if limit is not None:
                found[SpendLimit(number, period)] = int(limit)
    return found


def shares_of(db: apsw.Connection, number: int) -> dict[str, HostShare]:
    """By the names of the periods."""
    rows = run(
        db,
        "SELECT period, most, of, others, first_day FROM fleet_shares WHERE number = ?",
        (number,),
    )
    return {period: HostShare(*share) for period, *share in rows}


def all_shares(db: apsw.Connection) -> dict[SpendLimit, HostShare]:
    rows = run(db, "SELECT number, period, most, of, others, first_day FROM fleet_shares")
    return {SpendLimit(number, period): HostShare(*share) for number, period, *share in rows}


def keep_shares(
    db: apsw.Connection, changes: Mapping[SpendLimit, HostShare], *, smaller: bool
) -> None:
    """In the caller's transaction. `smaller`: some of them."""
    db.cursor().executemany(
        "INSERT OR REPLACE INTO fleet_shares VALUES (?, ?, ?, ?, ?, ?)",
        [(*limit, *share) for limit, share in changes.items()],
    )
    if smaller:
        run(db, "UPDATE fleet SET division = division + 1")


def begin_with_nothing(db: apsw.Connection) -> None:
    """In the caller's transaction: others have divided all limits that there are."""
    nothing = {limit: HostShare(0, most) for limit, most in limits_of_money(db).items()}
    keep_shares(db, nothing, smaller=True)


def held(db: apsw.Connection) -> dict[int, InMemory]:
    """By the numbers of keys and groups."""
    return {number: InMemory(*has) for number, *has in run(db, "SELECT * FROM fleet_held")}


def divisions(db: apsw.Connection) -> tuple[int, int] | None:
    """How often shares have become smaller, and up to where that is reported; None: alone."""
    rows = run(db, "SELECT division, reported FROM fleet WHERE left_at IS NULL")
    return (rows[0][0], rows[0][1]) if rows else None


def report(db: apsw.Connection, division: int, totals: Mapping[int, tuple[int, int]]) -> None:
    """In the caller's transaction: this is what the server holds, and it knows this division."""
    run(db, "DELETE FROM fleet_held")
    db.cursor().executemany(
        "INSERT INTO fleet_held VALUES (?, ?, ?)",
        [(number, *each) for number, each in totals.items() if any(each)],
    )
    run(db, "UPDATE fleet SET reported = ?1 WHERE division >= ?1", (division,))
