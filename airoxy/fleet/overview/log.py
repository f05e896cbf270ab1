"""The usage log of a fleet's other hosts, row by row and hour by hour, as it came to PostgreSQL.

Each host's part of a day is read by the primary key, from its end, so that the newest requests are
found without an index of their own.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import apsw

from airoxy.calendar import DAY_MS
from airoxy.fleet import schema
from airoxy.fleet.overview.everybody import Sums, ids_of, sums_of_others
from airoxy.fleet.postgres import Postgres
from airoxy.store.schema import run
from airoxy.store.usage.daily import TOTALS, conditions
from airoxy.store.usage.requests import COLUMNS, FAILED, FIELDS, QUARTER, Filter, named

#: Of each row, after its host.
_COLUMNS = tuple(name for name in ("id", *COLUMNS) if name != "basis")
_LISTED = ", ".join(f"r.{name}" for name in _COLUMNS)
#: Whose names this host has, too.
_NAMED = {"api_key_id": "api_keys", "token_id": "tokens", "group_id": "groups"}
#: As the sums of this host's own hours are (`requests.totals_by_hour`).
_COUNTED = {
    "requests": "count(*)",
    "successful": f"count(*) FILTER (WHERE NOT ({FAILED}))",
    "failed": f"count(*) FILTER (WHERE {FAILED})",
    "estimated": "sum(is_estimate)::bigint",
}

Shipped = tuple[Any, ...]


class OthersLog:
    """What the hosts but `own` have given, or `only` the one of them that is called so. What
    `newest` and `later` tell is told once. Raises NotFound."""

    def __init__(self, postgres: Postgres, own: str, only: str | None = None) -> None:
        self._postgres, self._own, self._only = postgres, own, only
        #: Up to which request each host's log is known; by its UUID, as `names`.
        self.marks: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.searched_from: int | None = None
        #: What each had given when this was made.
        self.given = self._look()

    def newest(
        self,
        limit: int,
        wanted: Filter,
        marks: Mapping[str, int] | None = None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> list[Shipped]:
        """The newest `limit` of all, perhaps with some that are older, in no order; with `marks`
        those of these hosts, up to these ids. Where it is given up, `searched_from` is from when on
        all have been found (milliseconds)."""
        given = self._look()
        marks = self.marks = given if marks is None else {**marks}
        where, values = _conditions(wanted)
        found: list[Shipped] = []
        self.searched_from = None
        days = self._days(wanted) if marks else []
        for day in days[::-1]:
            found += self._postgres.run(
                "SELECT r.* FROM unnest(%s::uuid[], %s::bigint[]) AS h (host, mark),"
                f" LATERAL (SELECT r.host, {_LISTED} FROM airoxy.requests AS r"
                f" WHERE r.day = %s AND r.host = h.host AND r.id <= h.mark AND {where}"
                " ORDER BY r.id DESC LIMIT %s) AS r",
                (list(marks), list(marks.values()), day, *values, limit),
            )
            if len(found) >= limit:
                break
            if day > days[0] and give_up():
                self.searched_from = day * DAY_MS
                break
        return found

    def one(self, hosts: Collection[str], number: int) -> list[Shipped]:
        """The request of one of these hosts that has this id, if it is there."""
        return self._postgres.run(
            f"SELECT r.host, {_LISTED} FROM airoxy.requests AS r"
            " WHERE r.host = ANY(%s::uuid[]) AND r.id = %s ORDER BY r.day DESC LIMIT 1",
            (list(hosts), number),
        )

    def later(self, limit: int, wanted: Filter) -> list[Shipped]:
        """The next that each host has given since, at most so many of each. A host that has come
        since then is known from now on."""
        where, values = _conditions(wanted)
        found: list[Shipped] = []
        given = self._look()
        moved = {host for host, mark in given.items() if mark > self.marks.setdefault(host, mark)}
        days = self._days(wanted) if moved else []
        for host in moved:
            known, mark = self.marks[host], given[host]
            rows = self._postgres.run(
                f"SELECT r.* FROM unnest(%s) AS d (day), LATERAL (SELECT r.host, {_LISTED}"
                " FROM airoxy.requests AS r WHERE r.day = d.day AND r.host = %s AND r.id > %s"
                f" AND r.id <= %s AND {where} ORDER BY r.id LIMIT %s) AS r ORDER BY r.id LIMIT %s",
                (days, host, known, mark, *values, limit, limit),
            )
            self.marks[host] = rows[-1][1] if len(rows) == limit else mark
            found += rows
        return found

    def quarters(self, wanted: Filter, hosts: Collection[str] | None = None) -> list[Shipped]:
        """The sums of TOTALS for each quarter of an hour, which comes first, in Unix time; of these
        hosts, or of all others."""
        where, values = _conditions(wanted)
        if hosts is None and self._only is not None:
            hosts = self.names
        whose, value = (
            ("host <> %s", self._own) if hosts is None else ("host = ANY(%s::uuid[])", [*hosts])
        )
        sums = ", ".join(_COUNTED.get(name, f"sum({name})::bigint") for name in TOTALS)
        return [
            row
            for day in self._days(wanted)
            for row in self._postgres.run(
                f"SELECT requested_at / {QUARTER * 1000} * {QUARTER} AS quarter, {sums}"
                " FROM airoxy.requests AS r"
                f" WHERE day = %s AND {whose} AND {where} GROUP BY quarter",
                (day, value, *values),
            )
        ]

    def sums(self, names: list[str], since: int) -> Sums:
        """Those of a day (since 1970) and after it."""
        return sums_of_others(self._postgres, names, self._own, (since, None))

    def close(self) -> None:
        self._postgres.close()

    def _look(self) -> dict[str, int]:
        """What each host has given up to now. Those that have left are among them."""
        rows = self._postgres.run(
            "SELECT host, name, shipped FROM airoxy.hosts WHERE host <> %s", (self._own,)
        )
        self.names = {host: name for host, name, _ in rows}
        if self._only is not None:
            self.names = dict.fromkeys(ids_of(self.names, self._only), self._only)
        return {host: shipped for host, _, shipped in rows if host in self.names}

    def _days(self, wanted: Filter) -> list[int]:
        first = None if wanted.since_ms is None else wanted.since_ms // DAY_MS
        last = None if wanted.until_ms is None else (wanted.until_ms - 1) // DAY_MS
        return [
            day
            for day in schema.days(self._postgres)
            if (first is None or day >= first) and (last is None or day <= last)
        ]


def as_told(db: apsw.Connection, rows: Iterable[Shipped], names: dict[str, str]) -> list[Any]:
    """The same requests as this host tells its own, each with its `host`."""
    rows = list(rows)
    known = {
        name: dict(run(db, f"SELECT id, name FROM {table}")) if rows else {}
        for name, table in _NAMED.items()
    }
    found = []
    for host, *values in rows:
        row = dict(zip(_COLUMNS, values, strict=True))
        row |= {
            f"{name.removesuffix('_id')}_name": each.get(row[name]) for name, each in known.items()
        }
        at = datetime.datetime.fromtimestamp(row["requested_at"] / 1000, datetime.UTC)
        row["requested_at"] = f"{at:%Y-%m-%dT%H:%M:%S}.{row['requested_at'] % 1000:03}Z"
        (request,) = named([tuple(row[field] for field in FIELDS)])
        found.append({"host": names[host], **request})
    return found


def ended(request: dict[str, Any]) -> float:
    """When it ended, which is the order of a log."""
    began = datetime.datetime.fromisoformat(request["requested_at"])
    return began.timestamp() + float(request["duration_ms"]) / 1000


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    """In PostgreSQL's words, whose LIKE tells upper from lower case as SQLite's GLOB does."""
    of_rows = wanted.of_rows()
    for condition, value in of_rows.items():
        if "GLOB" in condition and value is not None and wanted.model:
            of_rows[condition] = tuple(_like(glob.strip()) for glob in wanted.model.split(","))
    where, values = conditions(of_rows)
    if where == "1":
        where = "TRUE"
    return where.replace("GLOB", "LIKE").replace("?", "%s"), values


def _like(glob: str) -> str:
    """Of a glob whose only signs are * and ?."""
    for sign in "\\%_":
        glob = glob.replace(sign, f"\\{sign}")
    return glob.replace("*", "%").replace("?", "_")
