"""Batches and files, and the token in whose account they are."""

from __future__ import annotations

import apsw

from airoxy.store.schema import run

#: A batch is forgotten so long after it was made (seconds): Anthropic has its results for 29 days.
BATCH_AGE = 30 * 86400


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


def forget_resource(db: apsw.Connection, resource_id: str) -> None:
    """It has been deleted."""
    run(db, "DELETE FROM resources WHERE id = ?", (resource_id,))


def prune(db: apsw.Connection, after: str, most: int, now: float) -> tuple[str, int]:
    """Of the `most` ids that follow `after`, forget those that nobody can ask for any more; the
    last one that was looked at ("": there was none), and how many are forgotten.

    A batch goes by its age and not with its token: it says whether its results were counted.
    """
    ids = run(db, "SELECT id FROM resources WHERE id > ? ORDER BY id LIMIT ?", (after, most))
    if not ids:
        return "", 0
    last = ids[-1][0]
    gone = run(
        db,
        "DELETE FROM resources WHERE id > ?1 AND id <= ?2 AND CASE WHEN id GLOB 'file_*'"
        " THEN token_id IN (SELECT id FROM tokens WHERE removed_at IS NOT NULL)"
        " ELSE created_at < ?3 END RETURNING 1",
        (after, last, int(now) - BATCH_AGE),
    )
    return last, len(gone)
