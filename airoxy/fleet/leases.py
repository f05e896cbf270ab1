"""Leases of refreshes in PostgreSQL: a row that only the host that holds it gives back.

Invariant: a host gets a lease only if it has the fleet's newest version of the token, and gives it
back only once the fleet has the result.
"""

from __future__ import annotations

import json
import logging

import apsw

from airoxy.fleet import sync
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet import leases
from airoxy.store.fleet.leases import FleetLease
from airoxy.store.fleet.membership import Membership, membership
from airoxy.store.leases import lives

log = logging.getLogger(__name__)


def serve(db: apsw.Connection, postgres: Postgres) -> None:
    """Get the leases that are wanted, and give back those that have ended."""
    member = membership(db)
    for lease in leases.all_leases(db):
        if member is None:
            return
        if lease.state == "wanted":
            _get(db, postgres, member, lease)
        elif lease.state == "ended" and not leases.was_asked(db, lease.token_id):
            _give_back(db, postgres, member, lease)
        elif lease.state == "ended" or not lives(lease.process):
            _end_interrupted(db, postgres, member, lease)


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
        sync.pull_all(db, postgres)  # the process that wants it sees that the token has changed
    elif given:
        # If it is no longer wanted, it is `ended` by now, and given back in the next turn.
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


def _end_interrupted(
    db: apsw.Connection, postgres: Postgres, member: Membership, lease: FleetLease
) -> None:
    """End a lease whose process has died or got no answer. If the refresh token may be spent, no
    other host may try it."""
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
