"""What was made in an account through airoxy (batches, files, sessions …): with which upstream
token, and by which client key."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import apsw

from airoxy.core.limits.sharing import BEFORE, Sharer, choice
from airoxy.store.schema import run

#: A batch or container is forgotten so long after it was made (seconds): Anthropic has the results
#: of a batch for 29 days, and containers for no longer.
AGE = 30 * 86400


class Resource(NamedTuple):
    """Whose a thing is: the token whose account it is in, and the key that made it, with those that
    share it."""

    token_id: int | None
    owner: Sharer


def remember_resource(
    db: apsw.Connection, resource_id: str, token_id: int, key_id: int, now: float
) -> None:
    """It is in this token's account, and was made by this key."""
    run(
        db,
        "INSERT INTO resources (id, token_id, api_key_id, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (resource_id, token_id, key_id, int(now)),
    )


def find_resources(db: apsw.Connection, ids: Sequence[str]) -> dict[str, Resource]:
    """Those of the ids that airoxy saw made."""
    rows = run(
        db,
        "SELECT r.id, r.token_id, r.api_key_id, iif(r.api_key_id IS NULL, ?1,"
        " k.share_resources), k.group_id FROM resources AS r"
        " LEFT JOIN api_keys AS k ON k.id = r.api_key_id"
        " WHERE r.id IN (SELECT value FROM json_each(?2))",
        (BEFORE, json.dumps(ids)),
    )
    return {
        resource_id: Resource(token_id, Sharer(key_id, choice(shares), group_id))
        for resource_id, token_id, key_id, shares, group_id in rows
    }


#: As many results as no batch has.
ALL_RESULTS = 1 << 62


def counted_results(db: apsw.Connection, resource_id: str) -> int:
    """How many of a batch's results have been counted; ALL_RESULTS where 1.0 has counted them."""
    found = run(
        db,
        f"SELECT CASE WHEN results_counted_at IS NULL THEN 0"
        f" ELSE ifnull(results_counted, {ALL_RESULTS}) END FROM resources WHERE id = ?",
        (resource_id,),
    )
    return int(found[0][0]) if found else 0


def claim_results(
    db: apsw.Connection,
    resource_id: str,
    token_id: int | None,
    key_id: int,
    now: float,
    seen: range,
) -> bool:
    """Whether these results of a batch are to be counted, which they are then: those that nobody
    has counted since this fetch began. A batch that airoxy did not see made belongs to the key
    that fetches its results first."""
    if not seen or counted_results(db, resource_id) != seen.start:
        return False
    run(
        db,
        "INSERT INTO resources"
        " (id, token_id, api_key_id, created_at, results_counted_at, results_counted)"
        " VALUES (?1, ?2, ?5, ?3, ?3, ?4) ON CONFLICT DO UPDATE SET"
        " results_counted_at = excluded.results_counted_at,"
        " results_counted = excluded.results_counted",
        (resource_id, token_id, int(now), seen.stop, key_id),
    )
    return True


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
        "DELETE FROM resources WHERE id > ?1 AND id <= ?2"
        " AND CASE WHEN id GLOB 'msgbatch_*' OR id GLOB 'container_*' THEN created_at < ?3"
        " ELSE token_id IN (SELECT id FROM tokens WHERE removed_at IS NOT NULL) END RETURNING 1",
        (after, last, int(now) - AGE),
    )
    return last, len(gone)
