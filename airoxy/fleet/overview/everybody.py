"""The usage of all hosts of a fleet, for whoever asks a database for sums."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from typing import Any

import apsw

from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import usage
from airoxy.store.fleet.usage import BASELINE, GROUP
from airoxy.store.schema import run

Sums = list[tuple[Any, ...]]
#: From this day (since 1970) on, and before that one, or to the last.
Days = tuple[int, "int | None"]


def show_everybody(db: apsw.Connection, postgres: Postgres, own: str, days: Days) -> None:
    """From now on the sums of these days that this connection reads are those of all hosts. Those
    of this host, whose UUID is `own`, are as they stand here."""
    show_others(db, sums_of_others(postgres, names_of_sums(db), own, days))


def names_of_sums(db: apsw.Connection) -> list[str]:
    return [column.name for column in usage.columns(db, "daily")]


def sums_of_others(postgres: Postgres, names: list[str], own: str, days: Days) -> Sums:
    """The sums of all hosts but one."""
    group = ", ".join(GROUP)
    columns = ", ".join(name if name in GROUP else f"sum({name})::bigint" for name in names)
    return postgres.run(
        f"SELECT {columns} FROM airoxy.daily WHERE host <> %s AND day >= %s"
        f" AND (%s::int IS NULL OR day < %s::int) GROUP BY {group}",
        (own, days[0], days[1], days[1]),
    )


def show_others(db: apsw.Connection, others: Sums) -> None:
    """A temporary view stands before the connection's own sums."""
    names = names_of_sums(db)
    run(
        db,
        "CREATE TEMP TABLE IF NOT EXISTS others AS SELECT * FROM main.daily WHERE FALSE;"
        "DELETE FROM others;"
        "CREATE TEMP VIEW IF NOT EXISTS daily AS"
        " SELECT * FROM main.daily UNION ALL SELECT * FROM temp.others",
    )
    places = ", ".join("?" * len(names))
    db.cursor().executemany(f"INSERT INTO others VALUES ({places})", others)
    before = [column.name for column in usage.columns(db, BASELINE)]
    if before:  # which is another host's, and in its sums
        less = ", ".join(name if name in GROUP else f"-{name}" for name in before)
        run(db, f"INSERT INTO others ({', '.join(before)}) SELECT {less} FROM {BASELINE}")
    # A column that is younger than the baseline.
    zeros = ", ".join(f"{name} = ifnull({name}, 0)" for name in names)
    run(db, f"UPDATE others SET {zeros}")
