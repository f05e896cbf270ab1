"""This host's share of each limit on money, rates and concurrency, and what its server has used of
it: the tables between the server and the agent of a fleet.

Invariant: a share shrinks here before it shrinks in PostgreSQL. Once `fleet.reported` equals
`fleet.division`, `fleet_held` has what the server held when it knew of the smaller share.
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

#: The measures of the limits, by their columns.
_MEASURES = {limit.column: limit.measure for limit in LIMITS if limit.measure}
#: The limits by the names of their measures.
DIVIDED = {limit.measure.name: limit for limit in LIMITS if limit.measure}
#: The measures of rates and concurrency, by their names; they have no period.
RATES = {each.name: each for each in _MEASURES.values() if not isinstance(each, Spend)}


#: The columns of those that a token can have.
_OF_TOKENS = {"spend_per_day_nanousd", "spend_per_month_nanousd", "concurrent_requests"}


class DividedLimit(NamedTuple):
    """A limit: the number of the key or group that has it (as in Holder), or the negative id of the
    token, and its measure's name."""

    number: int
    measure: str

    @property
    def least(self) -> int:
        """The least share of any host."""
        return RATES[self.measure].least if self.measure in RATES else 0


class InMemory(NamedTuple):
    """What the server's memory has of a key, group or token: the money that is held or on its way
    to the database (of tokens: see TokenSpending), how many have asked, what came in the last
    minute, and what runs."""

    held: int = 0
    asked: int = 0
    requests: int = 0
    tokens: int = 0
    running: int = 0

    def used(self, measure: str) -> int:
        """The use of a measure; of money only what is not in the daily sums yet."""
        return int(getattr(self, measure if measure in RATES else "held"))


class TokenSpending(NamedTuple):
    """What a token has spent in the period that began on this day (since 1970), in nano-dollars,
    written to the database or not."""

    first_day: int
    nanousd: int

    def in_period(self, first_day: int) -> int:
        return self.nanousd if first_day == self.first_day else 0


def divided_limits(db: apsw.Connection) -> dict[DividedLimit, int]:
    """Those of all keys, groups and tokens, whether they are in force or not."""
    columns = ", ".join(_MEASURES)
    of_tokens = ", ".join(each if each in _OF_TOKENS else "NULL" for each in _MEASURES)
    found = {}
    for number, *values in run(
        db,
        f"SELECT id, {columns} FROM api_keys WHERE removed_at IS NULL"
        f" UNION ALL SELECT id + {GROUPS_FROM}, {columns} FROM groups"
        f" UNION ALL SELECT -id, {of_tokens} FROM tokens WHERE removed_at IS NULL",
    ):
        for measure, limit in zip(_MEASURES.values(), values, strict=True):
            if limit is not None:
                found[DividedLimit(number, measure.name)] = int(limit)
    return found


def shares_of(db: apsw.Connection, number: int) -> dict[str, HostShare]:
    """By the names of the measures."""
    rows = run(
        db,
        "SELECT measure, most, of, others, first_day FROM fleet_shares WHERE number = ?",
        (number,),
    )
    return {measure: HostShare(*share) for measure, *share in rows}


def all_shares(db: apsw.Connection) -> dict[DividedLimit, HostShare]:
    rows = run(db, "SELECT number, measure, most, of, others, first_day FROM fleet_shares")
    return {DividedLimit(*row[:2]): HostShare(*row[2:]) for row in rows}


def shares_of_tokens(db: apsw.Connection) -> dict[int, dict[str, HostShare]]:
    """By the tokens' ids and the names of the measures; what others have used is not told."""
    found: dict[int, dict[str, HostShare]] = {}
    for number, measure, most, of in run(
        db, "SELECT number, measure, most, of FROM fleet_shares WHERE number < 0"
    ):
        found.setdefault(-number, {})[measure] = HostShare(most, of)
    return found


def share_ratios(db: apsw.Connection) -> dict[tuple[int, str], float]:
    """What part of a limit this host may use, by the number and the option; none where it is
    alone."""
    return {
        (limit.number, DIVIDED[limit.measure].word): share.most / share.of if share.of else 1.0
        for limit, share in all_shares(db).items()
    }


def keep_shares(
    db: apsw.Connection, changes: Mapping[DividedLimit, HostShare], *, smaller: bool
) -> None:
    """In the caller's transaction. `smaller`: some of them."""
    db.cursor().executemany(
        "INSERT OR REPLACE INTO fleet_shares VALUES (?, ?, ?, ?, ?, ?)",
        [(*limit, *share) for limit, share in changes.items()],
    )
    if smaller:
        run(db, "UPDATE fleet SET division = division + 1")
    if any(limit.number < 0 for limit in changes):
        run(db, "UPDATE meta SET generation = generation + 1")  # the tokens are read again


def begin_with_nothing(db: apsw.Connection) -> None:
    """In the caller's transaction: others have divided all limits that there are."""
    nothing = {limit: HostShare(0, most) for limit, most in divided_limits(db).items()}
    keep_shares(db, nothing, smaller=True)


def held(db: apsw.Connection) -> dict[int, InMemory]:
    """By the numbers of keys, groups and tokens."""
    return {number: InMemory(*has) for number, *has in run(db, "SELECT * FROM fleet_held")}


def token_spending(db: apsw.Connection) -> dict[DividedLimit, TokenSpending]:
    """As the server's memory knows it."""
    rows = run(db, "SELECT number, measure, first_day, nanousd FROM fleet_token_spending")
    return {DividedLimit(*row[:2]): TokenSpending(*row[2:]) for row in rows}


def divisions(db: apsw.Connection) -> tuple[int, int] | None:
    """How often shares have become smaller, and up to where that is reported; None: alone."""
    rows = run(db, "SELECT division, reported FROM fleet WHERE left_at IS NULL")
    return (rows[0][0], rows[0][1]) if rows else None


def report(
    db: apsw.Connection,
    division: int,
    totals: Mapping[int, InMemory],
    spending: Mapping[DividedLimit, TokenSpending],
) -> None:
    """In the caller's transaction: this is what the server holds and what its tokens have spent,
    and it knows this division."""
    run(db, "DELETE FROM fleet_held")
    db.cursor().executemany(
        "INSERT INTO fleet_held VALUES (?, ?, ?, ?, ?, ?)",
        [(number, *each) for number, each in totals.items() if any(each)],
    )
    run(db, "DELETE FROM fleet_token_spending")
    db.cursor().executemany(
        "INSERT INTO fleet_token_spending VALUES (?, ?, ?, ?)",
        [(*limit, *each) for limit, each in spending.items()],
    )
    run(db, "UPDATE fleet SET reported = ?1 WHERE division >= ?1", (division,))
