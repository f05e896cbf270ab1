"""Results of batches that were counted here, until the fleet has said whether they count here.

Invariant: a request that has a claim has not been shipped; so what it counts can still be taken
back where another host was first.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from typing import NamedTuple

import apsw

from airoxy.core.billing.usage import COUNTED
from airoxy.store.resources import ALL_RESULTS
from airoxy.store.schema import run
from airoxy.store.usage import requests

_NOTHING = ", ".join(f"{name} = 0" for name in (*COUNTED, "cost_nanousd", "move_cost_nanousd"))


class Claim(NamedTuple):
    """The request with this id has counted the results of a batch from `first` to before `stop`."""

    request: int
    batch: str
    first: int
    stop: int


class Settled(NamedTuple):
    """The requests of which the fleet has decided, as they stand now, and what was taken back of
    them, by the upstream token."""

    rows: list[requests.Row]
    lost: dict[int, int]


def note_claim(db: apsw.Connection, claim: Claim) -> bool:
    """In the transaction that counts them. False: this host is alone, and asks nobody."""
    run(
        db,
        "INSERT INTO fleet_claims SELECT ?, ?, ?, ?"
        " WHERE EXISTS (SELECT 1 FROM fleet WHERE left_at IS NULL)",
        claim,
    )
    return bool(db.changes())


def is_claimed(db: apsw.Connection, request: int) -> bool:
    """Whether the metrics get this request, and what it counts, from `take_settled`."""
    return bool(
        run(
            db,
            "SELECT request FROM fleet_claims WHERE request = ?1"
            " UNION SELECT request FROM fleet_settled WHERE request = ?1",
            (request,),
        )
    )


def claims(db: apsw.Connection) -> list[Claim]:
    """Those that the fleet has not decided, in their order."""
    return [Claim(*row) for row in run(db, "SELECT * FROM fleet_claims ORDER BY request")]


def forget_claim(db: apsw.Connection, claim: Claim, *, is_given: bool) -> None:
    """In the caller's transaction, before it is taken back: it is decided."""
    run(
        db,
        "INSERT OR REPLACE INTO fleet_settled SELECT id, ?, token_id, cost_nanousd FROM requests"
        " WHERE id = ?",
        (is_given, claim.request),
    )
    run(db, "DELETE FROM fleet_claims WHERE request = ?", (claim.request,))


def forget_copied(db: apsw.Connection, last: int) -> None:
    """Requests up to this id are another host's, which has the same claims."""
    run(db, "DELETE FROM fleet_claims WHERE request <= ?", (last,))


def take_back(db: apsw.Connection, claim: Claim, counted: int) -> None:
    """In the caller's transaction: the request counts nothing, and of the batch so many results
    have been counted by all hosts together. The sums follow by themselves."""
    run(db, f"UPDATE requests SET {_NOTHING}, basis = NULL WHERE id = ?", (claim.request,))
    run(db, "UPDATE resources SET results_counted = ? WHERE id = ?", (counted, claim.batch))


def is_settled(db: apsw.Connection) -> bool:
    """Whether there is a decision that the server has not taken."""
    return bool(run(db, "SELECT 1 FROM fleet_settled LIMIT 1"))


def take_settled(db: apsw.Connection) -> Settled:
    """In the caller's transaction: nobody else takes them."""
    found = Settled([], {})
    for request, is_given, token, cost in run(db, "DELETE FROM fleet_settled RETURNING *"):
        found.rows.extend(requests.rows(db, [request]))
        if not is_given and token is not None:
            found.lost[token] = found.lost.get(token, 0) + cost
    return found


def counted_batches(db: apsw.Connection) -> list[tuple[str, int]]:
    """The batches whose results have been counted, with how many of them; version 1.0 has counted
    all, which is NULL."""
    return run(
        db,
        f"SELECT id, ifnull(results_counted, {ALL_RESULTS}) FROM resources"
        " WHERE results_counted_at IS NOT NULL",
    )
