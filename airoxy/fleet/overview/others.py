"""The other hosts of a fleet for the web console: their sums, their log, and how they are."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import apsw

from airoxy.calendar import day_number
from airoxy.console.hosts.others import FoundRows, LogSums
from airoxy.errors import AiroxyError
from airoxy.fleet.overview import hosts
from airoxy.fleet.overview.everybody import by_name, ids_of, names_of_sums, spending
from airoxy.fleet.overview.line import PATIENCE, PatientLine
from airoxy.fleet.overview.log import OthersLog, as_told
from airoxy.fleet.overview.mirror import Mirror
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet.membership import Membership
from airoxy.store.fleet.usage import BASELINE, GROUP, columns
from airoxy.store.schema import run
from airoxy.store.usage.daily import SUMS
from airoxy.store.usage.filter import Filter
from airoxy.store.usage.rollups.source import Chosen
from airoxy.views.times import span

#: The mirror, as a connection that reads it calls it.
_SCHEMA = "others"
_SECONDS_OLD = 10.0


@dataclass(frozen=True)
class _Shown:
    """`OtherHosts.sums`, of these hosts by their names."""

    db: apsw.Connection
    names: Mapping[str, str]
    version: int
    trouble: str

    def by_host(self, chosen: Chosen) -> dict[str, dict[str, int]]:
        rows = run(
            self.db,
            f"SELECT host, {SUMS} FROM {_SCHEMA}.sums"
            f" WHERE day >= ? AND day < ? AND {chosen.whose} GROUP BY host",
            (chosen.first, chosen.end),
        )
        return by_name(self.names, rows)


class FleetOthers:
    """Two lines, because the sums of years take a while to come. `patience` is in seconds."""

    def __init__(
        self, connect: Callable[[Membership], Postgres], patience: float = PATIENCE
    ) -> None:
        self._sums, self._log = PatientLine(connect, patience), PatientLine(connect, patience)
        self._lock = threading.Lock()
        self._mirror: tuple[Membership, Mirror] | None = None
        self._names: dict[str, str] = {}

    @contextmanager
    def sums(
        self,
        db: apsw.Connection,
        member: Membership,
        host: str | None,
        since: datetime.date | None,
        today: datetime.date,
    ) -> Iterator[_Shown]:
        mirror, trouble = self._mirror_of(db, member), ""
        first, last = day_number(since) if since else 0, day_number(today)

        def refresh(postgres: Postgres) -> None:
            self._names = OthersLog(postgres, member.host).names
            mirror.refresh(postgres, first, last)

        try:
            self._sums.ask(member, refresh)
        except AiroxyError as error:
            if mirror.covered is None or first < mirror.covered:
                raise
            age = time.time() - mirror.at
            if age > _SECONDS_OLD:
                trouble = f"What other hosts have used is as of {span(age)} ago. {error.message}"
        whose = None if host is None else ids_of(self._names, host)
        _attach(db, mirror)
        _show(db, whose)
        try:
            yield _Shown(db, self._names, mirror.version, trouble)
        finally:
            run(db, "DROP VIEW temp.daily; DROP VIEW temp.spending")

    def log(
        self,
        db: apsw.Connection,
        member: Membership,
        host: str | None,
        limit: int,
        wanted: Filter,
        marks: Mapping[str, int] | None,
        give_up: Callable[[], bool],
    ) -> FoundRows:
        def search(postgres: Postgres) -> tuple[OthersLog, list[tuple[Any, ...]]]:
            log = OthersLog(postgres, member.host)
            known = log.given if marks is None else _in_full(marks, log.given)
            if host is not None:
                known = {each: known[each] for each in ids_of(log.names, host) if each in known}
            return log, log.newest(limit, wanted, known, give_up)

        log, rows = self._log.ask(member, search)
        divided: dict[str, list[tuple[Any, ...]]] = {}
        for row in sorted(rows, key=lambda row: -row[1]):
            divided.setdefault(row[0], []).append(row)
        found = [as_told(db, each, log.names) for each in divided.values()]
        for rows_of_host, each in zip(found, divided, strict=True):
            for row in rows_of_host:
                row["of"] = each
        return FoundRows(found, log.marks, log.searched_from)

    def request(
        self, db: apsw.Connection, member: Membership, host: str, number: int
    ) -> dict[str, Any] | None:
        def find(postgres: Postgres) -> tuple[list[tuple[Any, ...]], dict[str, str]]:
            log = OthersLog(postgres, member.host)
            return log.one(ids_of(log.names, host), number), log.names

        found = as_told(db, *self._log.ask(member, find))
        return found[0] if found else None

    def quarters(self, member: Membership, host: str | None, wanted: Filter) -> LogSums:
        def add(postgres: Postgres) -> list[tuple[Any, ...]]:
            log = OthersLog(postgres, member.host)
            return log.quarters(wanted, None if host is None else ids_of(log.names, host))

        return self._log.ask(member, add)

    def status(self, db: apsw.Connection, member: Membership) -> tuple[dict[str, Any], str]:
        found: hosts.Rows = []
        divided: hosts.Rows = []
        trouble = ""
        try:
            found, divided = self._log.ask(
                member, lambda postgres: (hosts.hosts(postgres), hosts.shares(postgres))
            )
        except AiroxyError as error:
            trouble = error.message
        here = hosts.here(db, member, trouble or None)
        return hosts.document(here, found, divided), trouble

    def close(self) -> None:
        """Once nobody asks any more."""
        self._sums.close()
        self._log.close()
        if self._mirror is not None:
            self._mirror[1].remove()

    def _mirror_of(self, db: apsw.Connection, member: Membership) -> Mirror:
        """Another one where the host has joined another fleet."""
        with self._lock:
            if self._mirror is None or self._mirror[0][:3] != member[:3]:
                self._mirror = member, Mirror(db, member.host)
            return self._mirror[1]


def _in_full(marks: Mapping[str, int], known: Mapping[str, int]) -> dict[str, int]:
    """Marks of hosts that are said by the beginning of their ids."""
    return {host: mark for start, mark in marks.items() for host in known if host.startswith(start)}


def _attach(db: apsw.Connection, mirror: Mirror) -> None:
    attached = {name: path for _, name, path in run(db, "PRAGMA database_list")}
    if attached.get(_SCHEMA) == str(mirror.path):
        return
    with suppress(apsw.SQLError):
        run(db, f"DETACH {_SCHEMA}")
    run(db, f"ATTACH ? AS {_SCHEMA}", (str(mirror.path),))


def _show(db: apsw.Connection, whose: Collection[str] | None) -> None:
    """The sums of this host and of all others, or only of some others."""
    names = names_of_sums(db)
    listed = ", ".join(names)
    others = f"SELECT {listed} FROM {_SCHEMA}.sums"
    before = {column.name for column in columns(db, BASELINE)} if whose is None else set()
    if whose is not None:
        others += f" WHERE host IN ({', '.join(map(_quoted, whose))})"
    if before:  # which is another host's, and in its sums
        less = (n if n in GROUP else f"-{n}" if n in before else "0" for n in names)
        others += f" UNION ALL SELECT {', '.join(less)} FROM main.{BASELINE}"
    all_of_them = (
        others if whose is not None else f"SELECT {listed} FROM main.daily UNION ALL {others}"
    )
    spent = spending(f"({others})", only=whose is not None)
    run(
        db,
        f"CREATE TEMP VIEW daily AS {all_of_them}; CREATE TEMP VIEW spending AS {spent}",
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
