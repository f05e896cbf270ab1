"""Batches and files, and the token in whose account they are."""

from __future__ import annotations

import apsw

from airoxy.store.schema import run


def remember_resource(db: apsw.Connection, resource_id: str, token_id: int, now: float) -> None:
    """A batch or file is in this token's account."""
    run(
        db,
        "INSERT INTO resources (id, token_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (resource_id, token_id, int(now)),
    )


def token_of_resource(db: apsw.Connection, resource_id: str) -> int | None:
    """The id of the token in whose account it is, if airoxy saw it made."""
    found = run(db, "SELECT token_id FROM resources WHERE id = ?", (resource_id,))
    return found[0][0] if found else None


def claim_results(db: apsw.Connection, resource_id: str, token_id: int | None, now: float) -> bool:
    """True once for each batch: its results are counted by who gets that answer."""
    return bool(
        run(
            db,
            "INSERT INTO resources (id, token_id, created_at, results_counted_at)"
            " VALUES (?1, ?2, ?3, ?3)"
            " ON CONFLICT DO UPDATE SET results_counted_at = excluded.results_counted_at"
            " WHERE results_counted_at IS NULL RETURNING 1",
            (resource_id, token_id, int(now)),
        )
    )
