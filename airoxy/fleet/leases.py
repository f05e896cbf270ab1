"""Leases of refreshes, from and to PostgreSQL: a row that only its holder gives back.

Invariant: a host gets one only when it has the token as the fleet has it, and gives it back only
when the fleet has what came of it.
"""

from __future__ import annotations

import json
import logging
import os

import apsw

from airoxy.fleet import sync
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import leases
from airoxy.store.fleet.leases import FleetLease
from airoxy.store.fleet.membership import Membership, membership

log = logging.getLogger(__name__)


def serve(db: apsw.Connection, postgres: Postgres) -> None:
    """Get what is wanted, and give back what has ended."""
    member = membership(db)
    for lease in leases.all_leases(db):
        if member is None:
            return
        if lease.state == "wanted":
            _get(db, postgres, member, lease)
        elif lease.state == "ended" and not leases.was_asked(db, lease.token_id):
            _give_back(db, postgres, member, lease)
        elif lease.state == "ended" or not _lives(lease.process):
            _bury(db, postgres, member, lease)


def _get(db: apsw.Connection, postgres: Postgres, member: Membership, lease: FleetLease) -> None:
    with postgres.transaction():
        given = postgres.run(
            "INSERT INTO airoxy.leases AS l (token_id, host) VALUES (%s, %s)"
            " ON CONFLICT (token_id) DO UPDATE SET since = now(), interrupted = false"
            " WHERE l.host = excluded.host RETURNING 1",
            (lease.token_id, member.host),
        )
        # A statement of its own, which sees what the former holder has given before it let go.
        newer = given and postgres.run(
            "SELECT 1 FROM airoxy.shared WHERE kind = 'tokens' AND key = %s AND version > %s",
            (json.dumps([lease.token_id]), member.seen),
        )
        if newer:
            postgres.run("DELETE FROM airoxy.leases WHERE token_id = %s", (lease.token_id,))
    if newer:
        sync.pull_all(db, postgres)  # who wants it sees that the token is another one now
    elif given:
        # Where nobody wants it any more it is `ended` by now, and given back in the next turn.
        leases.hold(db, lease)


def _give_back(
    db: apsw.Connection, postgres: Postgres, member: Membership, lease: FleetLease
) -> None:
    while sync.push(db, postgres):
        pass
    postgres.run(
        "DELETE FROM airoxy.leases WHERE token_id = %s AND host = %s",
        (lease.token_id, member.host),
    )
    leases.forget(db, lease)


def _bury(db: apsw.Connection, postgres: Postgres, member: Membership, lease: FleetLease) -> None:
    """Its process has died, or knows of no answer. If the refresh token may be spent, nobody else
    may try it."""
    if not leases.was_asked(db, lease.token_id):
        leases.withdraw(db, lease.token_id, lease.process)
        return
    if postgres.run(
        "UPDATE airoxy.leases SET interrupted = true WHERE token_id = %s AND host = %s"
        " AND NOT interrupted RETURNING 1",
        (lease.token_id, member.host),
    ):
        log.warning(
            "A refresh of token %d was interrupted on this host. No other host tries it.",
            lease.token_id,
        )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
