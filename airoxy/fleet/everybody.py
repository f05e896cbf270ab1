"""The usage of all hosts of a fleet, for whoever asks a database for sums."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import apsw

from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import usage
from airoxy.store.fleet.membership import Membership
from airoxy.store.fleet.usage import GROUP
from airoxy.store.schema import run


def show_everybody(db: apsw.Connection, postgres: Postgres, member: Membership) -> None:
    """From now on the sums that this connection reads are those of all hosts: a temporary table
    stands before its own. What this host has itself is as it stands here."""
    names = [column.name for column in usage.columns(db, "daily")]
    counts = ", ".join(f"sum({name})::bigint" for name in names if name not in GROUP)
    group = ", ".join(GROUP)
    others = postgres.run(
        f"SELECT {group}, {counts} FROM airoxy.daily WHERE host <> %s GROUP BY {group}",
        (member.host,),
    )
    own = usage.own_sums(db)
    listed = ", ".join((*GROUP, *(name for name in names if name not in GROUP)))
    places = ", ".join("?" * len(names))
    run(db, "CREATE TEMP TABLE daily AS SELECT * FROM main.daily WHERE FALSE")
    db.cursor().executemany(f"INSERT INTO temp.daily ({listed}) VALUES ({places})", others)
    db.cursor().executemany(f"INSERT INTO temp.daily VALUES ({places})", own)
