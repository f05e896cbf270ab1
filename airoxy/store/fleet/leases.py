"""The leases of a fleet for refreshes of tokens, between this host's processes and its agent.

Invariant: a refresh token works once, so nobody sends one unless the fleet's PostgreSQL has said
that this host may. No time that passes gives a lease to another host.
"""

from __future__ import annotations

from typing import NamedTuple

import apsw

from airoxy.store.schema import run


class FleetLease(NamedTuple):
    """`state` is wanted, held, or ended; `process` is who wants or has it."""

    token_id: int
    process: int
    state: str


def want(db: apsw.Connection, token_id: int, process: int) -> None:
    """Ask the agent for the lease. One that this host has already is its own to use again."""
    run(
        db,
        "INSERT INTO fleet_leases (token_id, process, state) VALUES (?, ?, 'wanted')"
        " ON CONFLICT DO UPDATE SET process = excluded.process, state = 'wanted'",
        (token_id, process),
    )


def is_held(db: apsw.Connection, token_id: int, process: int) -> bool:
    """Whether it has been given to this process."""
    return bool(
        run(
            db,
            "SELECT 1 FROM fleet_leases WHERE token_id = ? AND process = ? AND state = 'held'",
            (token_id, process),
        )
    )


def withdraw(db: apsw.Connection, token_id: int, process: int) -> None:
    """It is not wanted, or not needed, any more."""
    run(
        db,
        "UPDATE fleet_leases SET state = 'ended' WHERE token_id = ? AND process = ?",
        (token_id, process),
    )


def hold(db: apsw.Connection, lease: FleetLease) -> bool:
    """The fleet has given it; False where it is not wanted any more."""
    return bool(
        run(
            db,
            "UPDATE fleet_leases SET state = 'held' WHERE token_id = ? AND process = ?"
            " AND state = 'wanted' RETURNING 1",
            lease[:2],
        )
    )


def forget(db: apsw.Connection, lease: FleetLease) -> None:
    """The fleet has it back."""
    run(
        db,
        "DELETE FROM fleet_leases WHERE token_id = ? AND process = ? AND state = ?",
        lease,
    )


def all_leases(db: apsw.Connection) -> list[FleetLease]:
    """What the agent has to see to."""
    return [
        FleetLease(*row) for row in run(db, "SELECT token_id, process, state FROM fleet_leases")
    ]


def was_asked(db: apsw.Connection, token_id: int) -> bool:
    """Whether its refresh token was sent, and no answer is known."""
    rows = run(db, "SELECT refresh_asked_at FROM tokens WHERE id = ?", (token_id,))
    return bool(rows and rows[0][0] is not None)


def refreshed_at(db: apsw.Connection, token_id: int) -> int:
    """When somebody of the fleet renewed it last; 0 for never."""
    rows = run(db, "SELECT ifnull(refreshed_at, 0) FROM tokens WHERE id = ?", (token_id,))
    return int(rows[0][0]) if rows else 0
