"""Divides the limits of keys, groups and tokens among the hosts of a fleet, each second, by demand.

Invariant: what PostgreSQL has as a host's share is never less than what the host lets in by: it
grows there first and shrinks here first, on the disk, until the server's report says that what it
holds is known. A period's shares begin as those of the one before, and do not grow any more once
some host is in the next. No time that passes takes a share from a host.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from airoxy.calendar import day_number
from airoxy.core.limits.division import HostShare, Part, divide, first_share, rest
from airoxy.core.limits.measures import PERIODS
from airoxy.fleet.identity import NotItself
from airoxy.fleet.postgres import Postgres
from airoxy.store import token_spending
from airoxy.store.fleet import membership, shares
from airoxy.store.fleet.shares import DividedLimit, InMemory, TokenSpending
from airoxy.store.limits import spent
from airoxy.store.schema import generation, snapshot, transaction
from airoxy.store.usage import days

#: An advisory lock's number: hosts divide one after the other.
_LOCK = 0x6169726F_7368
#: The part of a demand that is left after a second, and the demand that counts as none.
_FADES, _NONE = 0.5, 0.05
#: While there is demand, a share only shrinks by more than one part in so many of the rest.
_LEAST = 50
#: How long limits of rates and concurrency are divided after the last request (seconds): by then
#: the last minute is empty, and every host has the same share.
_LINGERS = 75.0
#: How long a host's demand counts after it was written (by PostgreSQL's clock).
_FRESH = "interval '10 seconds'"


class _Row(NamedTuple):
    """A row of `airoxy.shares`; `demand` is 0 if it was written long ago."""

    number: int
    measure: str
    first_day: int
    host: str
    share: int
    used: int
    demand: float


@dataclass
class _Here:
    """What this host has of one limit: the `share` that its server lets in by, if there is one."""

    limit: int
    first_day: int
    used: int
    demand: float
    share: HostShare | None


class Divider:
    """One agent's, for one connection."""

    def __init__(self, db: apsw.Connection, postgres: Postgres, host: str) -> None:
        self._db, self._postgres, self._host = db, postgres, host
        self._limits: dict[DividedLimit, int] = {}
        self._generation = -1
        self._asked: dict[int, int] | None = None
        self._demand: dict[int, float] = {}
        #: Those that are not as they are to be in PostgreSQL yet.
        self._open: set[DividedLimit] = set()
        #: When those that have no period were asked for last, here or elsewhere.
        self._asked_at: dict[DividedLimit, float] = {}

    def is_new(self) -> bool:
        """Whether there may be other limits than at the last division."""
        return self._generation != generation(self._db)

    def divide(self, now: float) -> None:
        """Once, all limits that something has happened to. Raises FleetError."""
        db = self._db
        if self.is_new():
            self._generation = generation(db)
            self._limits = shares.divided_limits(db)
        if not self._limits:
            return
        # What is held is read before the sums: what moves from one to the other counts twice.
        with snapshot(db):
            divisions, held, kept = shares.divisions(db), shares.held(db), shares.all_shares(db)
            known = shares.token_spending(db)
        if divisions is None:
            return
        here = self._look(now, held, known, kept)
        if not here:
            return
        division, reported = divisions
        with self._postgres.transaction():
            self._postgres.run("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            hosts = self._hosts()
            if self._host not in hosts:
                raise NotItself("The fleet has forgotten this host.")
            found = self._rows(here)
            changes = {
                limit: self._new(limit, mine, hosts, found.get(limit, []), reported >= division)
                for limit, mine in here.items()
            }
            self._write(here, {limit: part for limit, (part, _) in changes.items()})
        self._keep(kept, {limit: share for limit, (_, share) in changes.items()})
        self._open -= here.keys()
        self._open |= {
            limit for limit, (part, share) in changes.items()
            if part.demand or part.share > share.most
        }  # fmt: skip

    # What there is here

    def _look(
        self,
        now: float,
        held: Mapping[int, InMemory],
        known: Mapping[DividedLimit, TokenSpending],
        kept: Mapping[DividedLimit, HostShare],
    ) -> dict[DividedLimit, _Here]:
        today = days.today(self._db, now)
        firsts = {each.name: day_number(each.first(today)) for each in PERIODS}
        self._note_demand(held)
        asked = self._demand.keys() | self._asked_elsewhere()
        self._asked_at |= {
            each: now for each in self._limits if each.least and each.number in asked
        }

        def rests(limit: DividedLimit, most: int) -> bool:
            share = kept.get(limit)
            return (
                limit.number not in asked
                and limit not in self._open
                and now - self._asked_at.get(limit, 0.0) > _LINGERS
                and share is not None
                and (share.of, share.first_day) == (most, firsts.get(limit.measure, 0))
            )

        wanted = {each: most for each, most in self._limits.items() if not rests(each, most)}
        totals = {each.number for each in wanted if each.measure == "total"}
        costs = {
            number: token_spending.spent_with(self._db, -number, today)
            if number < 0
            else spent(self._db, number, today, total=number in totals)
            for number in {each.number for each in wanted if each.measure not in shares.RATES}
        }

        def used(limit: DividedLimit) -> int:
            in_sums = costs.get(limit.number, {}).get(limit.measure, 0)
            if (spending := known.get(limit)) is not None:
                return max(in_sums, spending.in_period(firsts[limit.measure]))
            return in_sums + held.get(limit.number, InMemory()).used(limit.measure)

        return {
            limit: _Here(
                most,
                firsts.get(limit.measure, 0),
                used(limit),
                self._demand.get(limit.number, 0.0),
                kept.get(limit),
            )
            for limit, most in wanted.items()
        }

    def _note_demand(self, held: Mapping[int, InMemory]) -> None:
        """Requests in the last seconds, whether they were let in or not."""
        before, self._asked = self._asked, {number: each.asked for number, each in held.items()}
        if before is None:
            return
        for number in self._asked.keys() | self._demand.keys():
            came = max(0, self._asked.get(number, 0) - before.get(number, 0))
            demand = self._demand.pop(number, 0.0) * _FADES + came
            if demand > _NONE:
                self._demand[number] = demand

    # What there is in PostgreSQL

    def _asked_elsewhere(self) -> set[int]:
        rows = self._postgres.run(
            "SELECT DISTINCT number FROM airoxy.shares WHERE demand > 0 AND host <> %s"
            f" AND at > now() - {_FRESH}",
            (self._host,),
        )
        return {number for (number,) in rows}

    def _hosts(self) -> set[str]:
        rows = self._postgres.run("SELECT host::text FROM airoxy.hosts WHERE left_at IS NULL")
        return {host for (host,) in rows}

    def _rows(self, wanted: Collection[DividedLimit]) -> dict[DividedLimit, list[_Row]]:
        found: dict[DividedLimit, list[_Row]] = {}
        for row in self._postgres.run(
            "SELECT number, measure, first_day, host::text, share, used,"
            f" CASE WHEN at > now() - {_FRESH} THEN demand ELSE 0 END"
            " FROM airoxy.shares WHERE number = ANY(%s) ORDER BY first_day",
            (list({each.number for each in wanted}),),
        ):
            found.setdefault(DividedLimit(*row[:2]), []).append(_Row(*row))
        return found

    def _begin(
        self, limit: DividedLimit, mine: _Here, hosts: set[str], found: list[_Row]
    ) -> list[_Row]:
        """The first rows of a period: everybody's share of before, or equal ones."""
        before = {row.host: row.share for row in found if row.first_day < mine.first_day}
        equal = 0 if before else first_share(mine.limit, len(hosts), limit.least)
        rows = [
            _Row(*limit, mine.first_day, host, before.get(host, equal), 0, 0.0)
            for host in sorted(hosts)
        ]
        self._postgres.insert(
            "INSERT INTO airoxy.shares (number, measure, first_day, host, share, used, demand)"
            " VALUES %s",
            rows,
        )
        self._postgres.run(
            "DELETE FROM airoxy.shares WHERE number = %s AND measure = %s AND first_day <"
            " (SELECT max(first_day) FROM airoxy.shares WHERE number = %s AND measure = %s"
            " AND first_day < %s)",
            (*limit, *limit, mine.first_day),
        )
        return rows

    def _new(
        self, limit: DividedLimit, mine: _Here, hosts: set[str], found: list[_Row], known: bool
    ) -> tuple[Part, HostShare]:
        """My part for PostgreSQL, and my share for the server; `known`: nothing was let in by a
        larger share that is not in what was used."""
        rows = [row for row in found if row.first_day == mine.first_day]
        if not rows:
            rows = self._begin(limit, mine, hosts, found)
        (shared,) = [row.share for row in rows if row.host == self._host] or [0]
        # What a host that is gone has used counts in its period.
        others = [
            Part(row.share, row.used, row.demand)
            for row in rows
            if row.host != self._host and (row.host in hosts or not limit.least)
        ]
        lets_in = min(shared, mine.limit) if mine.share is None else mine.share.within(mine.limit)
        lets_in = max(lets_in, limit.least)
        kept = max(lets_in, mine.used) if known else max(shared, lets_in, mine.used)
        part = Part(kept, mine.used, mine.demand)
        wanted = divide(mine.limit, max(1, len(hosts)), part, others, limit.least)
        if any(row.first_day > mine.first_day for row in found):
            wanted = min(wanted, kept)
        if wanted > kept:
            part = part._replace(share=wanted)
        elif (
            0 < lets_in - wanted <= rest(mine.limit, part, others) // _LEAST
            and any(each.demand for each in (part, *others))
        ):  # fmt: skip
            wanted = lets_in
        used = sum(other.used for other in others)
        return part, HostShare(wanted, mine.limit, used, mine.first_day)

    def _write(
        self, here: Mapping[DividedLimit, _Here], parts: Mapping[DividedLimit, Part]
    ) -> None:
        self._postgres.insert(
            "INSERT INTO airoxy.shares (number, measure, first_day, host, share, used, demand)"
            " VALUES %s ON CONFLICT (number, measure, first_day, host) DO UPDATE SET"
            " share = excluded.share, used = excluded.used, demand = excluded.demand, at = now()",
            [(*limit, here[limit].first_day, self._host, *part) for limit, part in parts.items()],
        )

    # What becomes of it here

    def _keep(
        self, before: Mapping[DividedLimit, HostShare], after: Mapping[DividedLimit, HostShare]
    ) -> None:
        changes = {limit: each for limit, each in after.items() if before.get(limit) != each}
        smaller = any(
            limit not in before or share.within(before[limit].of) < before[limit].most
            for limit, share in changes.items()
        )
        if not changes:
            return
        synced = membership.on_disk(self._db) if smaller else contextlib.nullcontext()
        with synced, transaction(self._db):
            shares.keep_shares(self._db, changes, smaller=smaller)
