"""The usage of all hosts of a fleet, for whoever asks a database for sums."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.errors import NotFound
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import usage
from airoxy.store.fleet.usage import BASELINE, GROUP
from airoxy.store.schema import run
from airoxy.store.usage.daily import SUMS, TOTALS
from airoxy.store.usage.rollups.source import Chosen

Sums = list[tuple[Any, ...]]
#: From this day (since 1970) on, and before that one, or to the last.
Days = tuple[int, "int | None"]


def show_everybody(
    db: apsw.Connection, postgres: Postgres, own: str, days: Days, only: str | None = None
) -> None:
    """From now on the sums of these days that this connection reads are those of all hosts, or of
    the one of the others that is called `only`. Those of this host, whose UUID is `own`, are as
    they stand here. Raises NotFound."""
    names = names_of_sums(db)
    if only is None:
        return show_others(db, sums_of_others(postgres, names, own, days))
    hosts = ids_of(names_of_others(postgres, own), only)
    return show_others(db, sums_of_others(postgres, names, own, days, hosts), only=True)


def names_of_others(postgres: Postgres, own: str) -> dict[str, str]:
    """By UUID. Those that have left are among them."""
    return dict(postgres.run("SELECT host, name FROM airoxy.hosts WHERE host <> %s", (own,)))


def ids_of(names: Mapping[str, str], name: str) -> list[str]:
    """Of the hosts that are called so, also of those that have left. Raises NotFound."""
    found = [host for host, each in names.items() if each == name]
    if not found:
        raise NotFound(f"There is no host {name[:60]!r} in the fleet.")
    return found


def names_of_sums(db: apsw.Connection) -> list[str]:
    return [column.name for column in usage.columns(db, "daily")]


def sums_of_others(
    postgres: Postgres,
    names: list[str],
    own: str,
    days: Days,
    hosts: list[str] | None = None,
) -> Sums:
    """The sums of all hosts but one, or of these of them."""
    group = ", ".join(GROUP)
    columns = ", ".join(name if name in GROUP else f"sum({name})::bigint" for name in names)
    return postgres.run(
        f"SELECT {columns} FROM airoxy.daily WHERE host <> %s AND day >= %s"
        " AND (%s::int IS NULL OR day < %s::int)"
        f" AND (%s::uuid[] IS NULL OR host = ANY(%s::uuid[])) GROUP BY {group}",
        (own, days[0], days[1], days[1], hosts, hosts),
    )


def totals_of_others(
    postgres: Postgres, own: str, chosen: Chosen, only: str | None = None
) -> dict[str, dict[str, int]]:
    """The sums of TOTALS of each host but one, or of `only` this one of them, by its name. Raises
    NotFound."""
    names = names_of_others(postgres, own)
    hosts = [*names] if only is None else ids_of(names, only)
    rows = postgres.run(
        f"SELECT host, {SUMS.replace('ifnull', 'coalesce')} FROM airoxy.daily"
        f" WHERE host = ANY(%s::uuid[]) AND day >= %s AND day < %s AND {chosen.whose}"
        " GROUP BY host",
        (hosts, chosen.first, chosen.end),
    )
    return by_name(names, rows)


def by_name(names: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> dict[str, dict[str, int]]:
    """Sums of TOTALS, each after the UUID of its host, by the names of the hosts, of which several
    may have had the same."""
    found: dict[str, dict[str, int]] = {}
    for host, *values in rows:
        name = names.get(host, host)
        before = found.get(name, dict.fromkeys(TOTALS, 0))
        counts = zip(TOTALS, values, strict=True)
        found[name] = {each: int(value) + before[each] for each, value in counts}
    return found


def spending(others: str, *, only: bool = False) -> str:
    """The table `spending` of all hosts, whose others have these sums, or of those alone."""
    own = "SELECT spender, day, cost_nanousd FROM main.spending" + (" WHERE FALSE" if only else "")
    all_keys = EVERYBODY + GROUPS_FROM
    return f"""{own}
        UNION ALL SELECT api_key_id, day, cost_nanousd FROM {others}
        WHERE api_key_id IN (SELECT id FROM main.spenders)
        UNION ALL SELECT group_id + {GROUPS_FROM}, day, cost_nanousd FROM {others}
        WHERE group_id + {GROUPS_FROM} IN (SELECT id FROM main.spenders WHERE id <> {all_keys})
        UNION ALL SELECT {all_keys}, day, cost_nanousd FROM {others}
        WHERE {all_keys} IN (SELECT id FROM main.spenders)"""


def show_others(db: apsw.Connection, others: Sums, *, only: bool = False) -> None:
    """A temporary view stands before the connection's own sums, or in their place."""
    names = names_of_sums(db)
    own = "SELECT * FROM main.daily" + (" WHERE FALSE" if only else "")
    run(
        db,
        "CREATE TEMP TABLE IF NOT EXISTS others AS SELECT * FROM main.daily WHERE FALSE;"
        "DELETE FROM others;"
        "CREATE TEMP VIEW IF NOT EXISTS daily AS"
        f" {own} UNION ALL SELECT * FROM temp.others;"
        f"CREATE TEMP VIEW IF NOT EXISTS spending AS {spending('temp.others', only=only)}",
    )
    places = ", ".join("?" * len(names))
    db.cursor().executemany(f"INSERT INTO others VALUES ({places})", others)
    before = [] if only else [column.name for column in usage.columns(db, BASELINE)]
    if before:  # which is another host's, and in its sums
        less = ", ".join(name if name in GROUP else f"-{name}" for name in before)
        run(db, f"INSERT INTO others ({', '.join(before)}) SELECT {less} FROM {BASELINE}")
    # A column that is younger than the baseline.
    zeros = ", ".join(f"{name} = ifnull({name}, 0)" for name in names)
    run(db, f"UPDATE others SET {zeros}")
