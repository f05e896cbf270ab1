"""API tokens of the console: what programs show to its API, known by their digests."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import apsw

from airoxy.core.keys import mask
from airoxy.store.console.users import digest
from airoxy.store.names import listed, none_such, refuse_taken
from airoxy.store.schema import among, run, transaction

PREFIX = "aa-"
_COLUMNS = {name: name for name in ("id", "name", "role", "masked", "created_at", "expires_at")}


class ApiToken(NamedTuple):
    """One that is in force."""

    id: int
    name: str
    role: str


def add_api_token(
    db: apsw.Connection, name: str, role: str, expires_at: int, now: float
) -> tuple[int, str]:
    """The id of a new one, and its secret. Raises Conflict."""
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction(db):
        refuse_taken(db, "console_api_tokens", name)
        ((number,),) = run(
            db,
            "INSERT INTO console_api_tokens (name, role, digest, masked, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            (name, role, digest(secret), mask(secret), int(now), expires_at),
        )
    return int(number), secret


def list_api_tokens(db: apsw.Connection) -> list[dict[str, Any]]:
    """Those not removed, the expired ones too, oldest first; times in Unix seconds."""
    return listed(db, "console_api_tokens", _COLUMNS)


def find_api_token(db: apsw.Connection, secret: str, now: float) -> ApiToken | None:
    """The one with this secret, as long as it lasts."""
    rows = run(
        db,
        "SELECT id, name, role FROM console_api_tokens"
        " WHERE digest = ? AND expires_at > ? AND removed_at IS NULL",
        (digest(secret), int(now)),
    )
    return ApiToken(*rows[0]) if rows else None


def in_force(db: apsw.Connection, ids: frozenset[int], now: float) -> frozenset[int]:
    """Those of these that last."""
    rows = run(
        db,
        f"SELECT id FROM console_api_tokens WHERE {among(ids)}"  # noqa: S608 - numbers
        " AND expires_at > ? AND removed_at IS NULL",
        (int(now),),
    )
    return frozenset(number for (number,) in rows)


def api_token_id(db: apsw.Connection, name: str) -> int:
    """The id of the one with this name. Raises NotFound."""
    found = run(
        db, "SELECT id FROM console_api_tokens WHERE name = ? AND removed_at IS NULL", (name,)
    )
    if not found:
        raise none_such("console_api_tokens", name)
    return int(found[0][0])


def remove_api_token(db: apsw.Connection, name: str, now: float) -> int:
    """The one with this name works no more; its id. Raises NotFound."""
    with transaction(db):
        number = api_token_id(db, name)
        run(
            db,
            "UPDATE console_api_tokens SET removed_at = ?, digest = NULL WHERE id = ?",
            (int(now), number),
        )
    return number
