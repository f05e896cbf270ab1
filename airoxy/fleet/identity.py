"""Who a host is to its fleet: a UUID, and a nonce that changes with each start of its agent.

Invariant: of two hosts with one UUID, as a copied or restored database makes them, only one gives
rows to the fleet. The new nonce is on this host's disk before PostgreSQL has it.
"""

from __future__ import annotations

import uuid

import apsw

from airoxy import __version__
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.store.fleet import membership, usage
from airoxy.store.fleet.membership import Membership

ANEW = "sudo airoxy fleet join --anew"


class NotItself(FleetError):
    """Another airoxy has this host's identity, or the fleet has forgotten it; this one serves on by
    itself."""


class AgentRuns(NotItself):
    """An agent of this host has its identity."""


def new_id() -> str:
    return str(uuid.uuid4())


def assume(db: apsw.Connection, postgres: Postgres, *, keep_days: int) -> Membership:
    """Be this host, until the connection ends. Raises NotItself."""
    member = membership.membership(db)
    if member is None:
        raise NotItself("This host is in no fleet: sudo airoxy fleet join URL")
    number = uuid.UUID(member.host).int & ((1 << 63) - 1)
    if postgres.run("SELECT pg_try_advisory_lock(%s)", (number,)) != [(True,)]:
        raise AgentRuns("Another agent with this host's identity is running.")
    if member.next_nonce is None:
        with membership.on_disk(db):
            membership.note(db, next_nonce=new_id())
        member = membership.membership(db) or member
    found = postgres.run(
        "UPDATE airoxy.hosts SET nonce = %s, airoxy = %s, keep_days = %s, seen_at = now()"
        " WHERE host = %s AND nonce IN (%s, %s) AND left_at IS NULL RETURNING shipped",
        (member.next_nonce, __version__, keep_days, member.host, member.nonce, member.next_nonce),
    )
    if not found:
        raise NotItself(_stranger(postgres, member))
    shipped = int(found[0][0])
    if shipped > usage.last_given(db):
        # Its nonce is not put back: the database that was given up may come again.
        raise NotItself(
            "This database is older than what the fleet has of it (a copy that was restored?), so"
            f" it serves on by itself: {ANEW}"
        )
    membership.note(db, nonce=member.next_nonce, next_nonce=None, shipped=shipped)
    return membership.membership(db) or member


def _stranger(postgres: Postgres, member: Membership) -> str:
    known = postgres.run("SELECT left_at FROM airoxy.hosts WHERE host = %s", (member.host,))
    if not known or known[0][0] is not None:
        return f"The fleet has forgotten this host; it serves on by itself: {ANEW}"
    return (
        "Another airoxy has this host's identity (a copy of its database?), so this one serves on"
        f" by itself: {ANEW}"
    )
