"""Commands that change what a fleet shares commit it on both sides, or on none.

Invariant: PostgreSQL commits while SQLite's transaction is open, and only what this host changed
on top of what the fleet has. Killed between the two, the change arrives like another host's.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from airoxy.errors import Conflict
from airoxy.fleet import sync
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.fleet.schema import refuse_newer
from airoxy.store.fleet import membership, shared
from airoxy.store.fleet.membership import Membership
from airoxy.store.schema import before_commit

_MOST = 100_000


def commit_on_both(db: apsw.Connection, connect: Callable[[Membership], Postgres]) -> None:
    """From now on each transaction of `db` that changes shared rows is committed on both sides."""
    if membership.membership(db) is not None:
        before_commit(db, lambda: _agree(db, connect))


def _agree(db: apsw.Connection, connect: Callable[[Membership], Postgres]) -> None:
    member = membership.membership(db)
    changes = shared.changed(db, _MOST, shared.COMMANDED)
    if member is None or not changes:
        return
    try:
        postgres = connect(member)
    except FleetError as error:
        raise FleetError(f"Nothing has been changed. {error.message}") from error
    try:
        with postgres.transaction():
            ((version,),) = postgres.run("SELECT schema FROM airoxy.fleet FOR UPDATE")
            refuse_newer(version)
            if not postgres.run(
                "SELECT 1 FROM airoxy.hosts WHERE host = %s AND left_at IS NULL", (member.host,)
            ):
                raise FleetError(
                    "Nothing has been changed: the fleet does not know this host any more. See"
                    " `airoxy fleet status`."
                )
            kinds = sorted({change.kind for change in changes})
            if postgres.run(
                "SELECT 1 FROM airoxy.shared WHERE kind = ANY(%s) AND version > %s LIMIT 1",
                (kinds, member.seen),
            ):
                raise Conflict(
                    "Nothing has been changed: another host has just changed something, which is on"
                    " its way here. Try again."
                )
            given = sync.give(postgres, changes)
            for change, arrived in zip(changes, given, strict=True):
                shared.settle(db, change, arrived.version, arrived.row)
            # Nobody else has got a version since the lock; in between are only our own.
            if given and given[0].version == member.seen + 1:
                membership.note(db, seen=given[-1].version)
    except FleetError as error:
        told = error.message.removeprefix("Nothing has been changed: ")
        raise FleetError(f"Nothing has been changed: {told}") from error
    finally:
        postgres.close()
