"""Shared rows (keys, tokens, resources, cooldowns) on their way between a host and its fleet.

Invariant: versions are given in the order of commits, under one lock, so that a host that has seen
version n has seen all up to n.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import json
from collections.abc import Sequence

import apsw

from airoxy.fleet.postgres import Postgres
from airoxy.store.audit.trail import Actor
from airoxy.store.fleet import membership, shared
from airoxy.store.fleet.shared import Arrived, Changed
from airoxy.store.schema import snapshot, transaction

#: Whom the audit trail names for changes that come from other hosts.
OTHERS = Actor("fleet", via="another host")
#: Rows of one transaction.
AT_ONCE = 500


def push(db: apsw.Connection, postgres: Postgres) -> int:
    """Give the fleet what was changed here; how many rows."""
    with snapshot(db):
        changes = shared.changed(db, AT_ONCE)
    if not changes:
        return 0
    with postgres.transaction():
        given = give(postgres, changes)
    with transaction(db):
        for change, arrived in zip(changes, given, strict=True):
            shared.settle(db, change, arrived.version, arrived.row)
    return len(changes)


def give(postgres: Postgres, changes: Sequence[Changed]) -> list[Arrived]:
    """In the caller's transaction of PostgreSQL: merge these changes into the fleet's rows; what
    became of them."""
    ((last,),) = postgres.run("SELECT version FROM airoxy.fleet FOR UPDATE")
    given = [_give(postgres, change, last + n) for n, change in enumerate(changes, 1)]
    postgres.run("UPDATE airoxy.fleet SET version = %s", (last + len(changes),))
    postgres.run("NOTIFY airoxy")
    return given


def _give(postgres: Postgres, change: Changed, version: int) -> Arrived:
    key = (change.kind, change.key)
    fields = change.fields
    if fields is None:
        postgres.run(
            "INSERT INTO airoxy.shared AS s (kind, key, version) VALUES (%s, %s, %s)"
            " ON CONFLICT (kind, key) DO UPDATE SET row = NULL, version = excluded.version,"
            " changed_at = now() WHERE s.row IS NOT NULL",
            (*key, version),
        )
        return Arrived(*key, version, None)
    latest = shared.LATEST.get(change.kind)
    newer = (
        f" WHERE s.row IS NULL OR (s.row->>'{latest}')::bigint <= (excluded.row->>'{latest}')"
        "::bigint"
        if latest
        else ""
    )
    # Where somebody has deleted it meanwhile, what is here is the whole row.
    postgres.run(
        "INSERT INTO airoxy.shared AS s (kind, key, version, row) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (kind, key) DO UPDATE SET row = coalesce(s.row, %s) || excluded.row,"
        f" version = excluded.version, changed_at = now(){newer}",
        (*key, version, _json(fields), _json(change.row or {})),
    )
    ((row,),) = postgres.run("SELECT row FROM airoxy.shared WHERE (kind, key) = (%s, %s)", key)
    return Arrived(*key, version, row)


def _json(fields: shared.Fields) -> str:
    return json.dumps(fields).replace("\\u0000", "")


def pull(db: apsw.Connection, postgres: Postgres) -> int:
    """Take what others have changed; how many rows."""
    member = membership.membership(db)
    if member is None:
        return 0
    rows = postgres.run(
        "SELECT kind, key, version, row FROM airoxy.shared WHERE version > %s"
        " ORDER BY version LIMIT %s",
        (member.seen, AT_ONCE),
    )
    if not rows:
        return 0
    arrived = [Arrived(*row) for row in rows]
    with transaction(db):
        shared.take(db, arrived)
        membership.note(db, seen=arrived[-1].version)
    return len(rows)


def pull_all(db: apsw.Connection, postgres: Postgres) -> None:
    """Until there is nothing new."""
    while pull(db, postgres) == AT_ONCE:
        pass


def offer_lost(db: apsw.Connection, postgres: Postgres) -> None:
    """After a failover that lost the last moments: give again what PostgreSQL has no more."""
    ((version,),) = postgres.run("SELECT version FROM airoxy.fleet")
    with transaction(db):
        member = membership.membership(db)
        if member is not None and member.seen > version:
            shared.offer_after(db, version)
            membership.note(db, seen=version)
