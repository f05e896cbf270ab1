"""Gives PostgreSQL what this host's usage log has: rows once, and the sums as they stand.

Invariant: rows, the sums that they touch and the mark up to where they go are of one transaction,
and sums are states, not differences; so whatever is killed, giving them again changes nothing.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from airoxy.calendar import DAY_MS, DAY_SECONDS
from airoxy.fleet import claims, schema
from airoxy.fleet.postgres import FleetError, Postgres, storable
from airoxy.store.fleet import claims as store_claims
from airoxy.store.fleet import membership, usage
from airoxy.store.fleet.membership import Membership
from airoxy.store.fleet.usage import GROUP
from airoxy.store.schema import snapshot, transaction

#: Rows of one transaction.
AT_ONCE = 1000

Row = tuple[Any, ...]


class Shipper:
    """`keep_days` is how long this host keeps detailed rows."""

    def __init__(self, db: apsw.Connection, postgres: Postgres, keep_days: int) -> None:
        self._db, self._postgres, self._keep_days = db, postgres, keep_days
        self._days: set[int] = set(schema.days(postgres))
        self._columns = [each.name for each in usage.columns(db, "requests")]
        self._sums = [each.name for each in usage.columns(db, "daily")]
        self._at = {name: n for n, name in enumerate(self._columns)}

    def ship(self) -> int:
        """Give the next rows; how many they were."""
        db, member = self._db, _member(self._db)
        rows, sums = self._next(member.shipped)
        if not rows:
            if member.ship_again is not None:
                self._ship_again(member)
            return 0
        last = rows[-1][self._at["id"]]
        if member.synced < last:
            with membership.on_disk(db):
                membership.note(db, synced=last)
        self._give(member, rows, sums, last)
        membership.note(db, shipped=last, contact_at=time.time(), trouble=None)
        return len(rows)

    def reconcile(self) -> None:
        """Give the sums of the days on which PostgreSQL has others: it may have lost what it had,
        and days may have come that no request of the log tells of."""
        db, member = self._db, _member(self._db)
        counts = " + ".join(f"sum({name})" for name in self._sums if name not in GROUP)
        theirs = dict(
            self._postgres.run(
                f"SELECT day, ({counts})::bigint FROM airoxy.daily WHERE host = %s GROUP BY day",
                (member.host,),
            )
        )
        with snapshot(db):
            mine = usage.totals_of_days(db)
            differing = [day for day, total in mine.items() if theirs.get(day, 0) != total]
            sums = usage.sums_of_days(db, differing)
        for start in range(0, len(sums), AT_ONCE):
            with self._postgres.transaction():
                self._own(member)
                self._give_sums(member, sums[start : start + AT_ONCE])

    def drop_old(self, now: float) -> None:
        """Detailed rows are kept as long as the host keeps them that keeps them longest."""
        ((longest,),) = self._postgres.run(
            "SELECT max(keep_days) FROM airoxy.hosts WHERE left_at IS NULL"
        )
        schema.drop_days(self._postgres, int(now // DAY_SECONDS) - (longest or self._keep_days))
        self._days = set(schema.days(self._postgres))

    def _ship_again(self, member: Membership) -> None:
        """Costs were computed anew."""
        db, last = self._db, (member.ship_again or 0) - 1
        while True:
            rows, sums = self._next(max(last, member.first))
            if not rows:
                break
            last = rows[-1][self._at["id"]]
            self._give(member, rows, sums, last)
        with transaction(db):
            if _member(db).ship_again == member.ship_again:
                membership.note(db, ship_again=None)

    def _next(self, after: int) -> tuple[list[Row], list[Row]]:
        """The rows after this id, and the sums that they touch, with nothing in them that another
        host may have counted."""
        db = self._db
        while True:
            with snapshot(db):
                if not store_claims.claims(db):
                    rows = usage.rows_after(db, after, AT_ONCE)
                    return rows, usage.touched_sums(db, self._touched(rows))
            claims.settle(db, self._postgres)

    def _give(
        self, member: Membership, rows: Sequence[Row], sums: Sequence[Row], last: int
    ) -> None:
        oldest = int(time.time() // DAY_SECONDS) - self._keep_days
        by_day: dict[int, list[Row]] = {}
        for row in rows:
            day = row[self._at["requested_at"]] // DAY_MS
            if day >= oldest:
                by_day.setdefault(day, []).append(row)
        for day in by_day.keys() - self._days:
            schema.ensure_day(self._postgres, day)
            self._days.add(day)
        with self._postgres.transaction():
            self._own(member, last)
            for day, some in by_day.items():
                self._give_rows(member, day, some)
            self._give_sums(member, sums)

    def _own(self, member: Membership, last: int = 0) -> None:
        """Only as long as PostgreSQL knows this host by its nonce, and its tables are known here:
        a newer airoxy may have changed them a moment ago."""
        versions = self._postgres.run(
            "UPDATE airoxy.hosts SET shipped = greatest(shipped, %s), seen_at = now()"
            " WHERE host = %s AND nonce = %s AND left_at IS NULL"
            " RETURNING (SELECT schema FROM airoxy.fleet)",
            (last, member.host, member.nonce),
        )
        if not versions:
            raise FleetError("Another airoxy has this host's identity: airoxy fleet join --anew")
        schema.refuse_newer(versions[0][0])

    def _give_rows(self, member: Membership, day: int, rows: Iterable[Row]) -> None:
        names = ", ".join(self._columns)
        sets = ", ".join(f"{name} = excluded.{name}" for name in ("cost_nanousd", "basis"))
        self._postgres.insert(
            f"INSERT INTO airoxy.requests AS r (day, host, {names}) VALUES %s"
            f" ON CONFLICT (day, host, id) DO UPDATE SET {sets}"
            " WHERE r.cost_nanousd <> excluded.cost_nanousd",
            [(day, member.host, *map(storable, row)) for row in rows],
        )

    def _give_sums(self, member: Membership, sums: Sequence[Row]) -> None:
        if not sums:
            return
        counts = [name for name in self._sums if name not in GROUP]
        key = ", ".join(("host", *GROUP))
        sets = ", ".join(f"{name} = excluded.{name}" for name in counts)
        self._postgres.insert(
            f"INSERT INTO airoxy.daily (host, {', '.join(self._sums)}) VALUES %s"
            f" ON CONFLICT ({key}) DO UPDATE SET {sets}",
            [(member.host, *map(storable, row)) for row in sums],
        )

    def _touched(self, rows: Iterable[Row]) -> list[tuple[int, int, int | None]]:
        at = [self._at[name] for name in ("requested_at", "api_key_id", "token_id")]
        return [(row[at[0]], row[at[1]], row[at[2]]) for row in rows]


def _member(db: apsw.Connection) -> Membership:
    found = membership.membership(db)
    if found is None:
        raise FleetError("This host has left the fleet.")
    return found
