"""The daily sums of a fleet's other hosts in a SQLite file of their own, beside which a process
looks at its own sums.

Invariant: it is complete from the day `covered` on. Whoever reads it does not wait for PostgreSQL.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apsw

from airoxy.fleet.overview.everybody import names_of_sums
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet.usage import GROUP
from airoxy.store.schema import run, transaction

#: How long the sums of today and yesterday are believed, and those of all other days, which change
#: where a host was cut off or costs are computed anew (seconds).
FRESH, KEPT = 1.0, 300.0
#: So many days are compared at once, and so many sums fetched: a statement has five seconds, and
#: the console little memory.
_DAYS, _ROWS = 92, 20_000
#: What of a day's sums tells whether they are the same.
_MARK = "count(*), sum(requests)::bigint, sum(cost_nanousd)::bigint, sum(output_tokens)::bigint"


class Mirror:
    """`version` is another one when sums of days before today have changed."""

    def __init__(self, db: apsw.Connection, own: str) -> None:
        self._own, self._names = own, names_of_sums(db)
        self._directory = Path(tempfile.mkdtemp(prefix="airoxy-fleet-"))
        self.path = self._directory / "sums.db"
        self._db: apsw.Connection | None = None
        self.covered: int | None = None
        self.version = 0
        #: When (Unix time) it was up to date last.
        self.at = 0.0
        self._fresh = self._kept = float("-inf")

    def refresh(self, postgres: Postgres, since: int, today: int) -> None:
        """Bring it up to date from the day `since` (since 1970) on. Called by one thread."""
        db = self._opened()
        now = time.monotonic()
        if self.covered is None or since < self.covered or now - self._kept >= KEPT:
            first = since if self.covered is None else min(since, self.covered)
            ((oldest,),) = postgres.run("SELECT min(day) FROM airoxy.daily")
            oldest = today if oldest is None else oldest
            for begin, end in _spans(max(first, oldest), today + 2):
                self._bring(db, postgres, begin, end, today)
            self.covered, self._kept, self._fresh = first, now, now
        elif now - self._fresh >= FRESH:
            self._bring(db, postgres, today - 1, today + 2, today)
            self._fresh = now
        self.at = time.time()

    def remove(self) -> None:
        """Who reads it may go on with it."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _opened(self) -> apsw.Connection:
        if self._db is None:
            self._db = apsw.Connection(str(self.path))
            run(self._db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")
            columns = ", ".join(("host", *self._names))
            run(
                self._db,
                "CREATE TABLE days (day INTEGER PRIMARY KEY, mark TEXT NOT NULL);"
                f"CREATE TABLE sums ({columns}, PRIMARY KEY (day, {', '.join(GROUP[1:])}, host))"
                " WITHOUT ROWID",
            )
        return self._db

    def _bring(
        self, db: apsw.Connection, postgres: Postgres, begin: int, end: int, today: int
    ) -> None:
        """What is different of the days from `begin` to before `end`."""
        rows = postgres.run(
            f"SELECT day, {_MARK} FROM airoxy.daily"
            " WHERE host <> %s AND day >= %s AND day < %s GROUP BY day",
            (self._own, begin, end),
        )
        marks = {day: " ".join(map(str, mark)) for day, *mark in rows}
        known = dict(run(db, "SELECT * FROM days WHERE day >= ? AND day < ?", (begin, end)))
        gone = [day for day in known if day not in marks]
        new = {day: count for day, count, *_ in rows if known.get(day) != marks[day]}
        places = ", ".join("?" * (len(self._names) + 1))
        try:
            for days in _batches(new):
                found = self._fetched(postgres, days)
                with transaction(db):
                    _forget(db, days)
                    db.cursor().executemany(f"INSERT INTO sums VALUES ({places})", found)
                    told = [(day, marks[day]) for day in days]
                    db.cursor().executemany("INSERT INTO days VALUES (?, ?)", told)
            if gone:
                with transaction(db):
                    _forget(db, gone)
        finally:  # some of it may have been done
            if any(day < today for day in (*new, *gone)):
                self.version += 1

    def _fetched(self, postgres: Postgres, days: Sequence[int]) -> list[tuple[object, ...]]:
        return postgres.run(
            f"SELECT host::text, {', '.join(self._names)} FROM airoxy.daily"
            " WHERE host <> %s AND day = ANY(%s)",
            (self._own, list(days)),
        )


def _forget(db: apsw.Connection, days: Iterable[int]) -> None:
    listed = ", ".join(map(str, days))
    run(db, f"DELETE FROM sums WHERE day IN ({listed}); DELETE FROM days WHERE day IN ({listed})")


def _spans(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The newest first."""
    while first < end:
        begin = max(first, end - _DAYS)
        yield begin, end
        end = begin


def _batches(counts: dict[int, int]) -> Iterator[list[int]]:
    """Days with so many sums together, at least one."""
    days: list[int] = []
    total = 0
    for day in sorted(counts, reverse=True):
        if days and total + counts[day] > _ROWS:
            yield days
            days, total = [], 0
        days.append(day)
        total += counts[day]
    if days:
        yield days
