"""Sessions of the console's users, known by the digests of their cookies."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import apsw

from airoxy.store.console.users import digest
from airoxy.store.names import named
from airoxy.store.schema import among, run, transaction

#: How long a session lasts, whatever happens in it (seconds).
LIFETIME = 12 * 3600
_AGENT_LENGTH = 200


class ConsoleSession(NamedTuple):
    """A session in force, and whose it is."""

    id: int
    user_id: int
    user_name: str
    role: str


def begin(
    db: apsw.Connection, user: int, now: float, *, address: str, agent: str, old: str | None = None
) -> str:
    """The secret of a new session. The one that the browser had until now ends: a secret from
    before the login is worth nothing after it."""
    secret = secrets.token_urlsafe(32)
    with transaction(db):
        if old is not None:
            run(db, "DELETE FROM console_sessions WHERE digest = ?", (digest(old),))
        run(db, "DELETE FROM console_sessions WHERE expires_at <= ?", (int(now),))
        run(
            db,
            "INSERT INTO console_sessions (digest, user_id, created_at, expires_at, address, agent)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (digest(secret), user, int(now), int(now) + LIFETIME, address, agent[:_AGENT_LENGTH]),
        )
        run(db, "UPDATE console_users SET last_login_at = ? WHERE id = ?", (int(now), user))
    return secret


def find(db: apsw.Connection, secret: str, now: float) -> ConsoleSession | None:
    """The session with this secret, as long as it lasts."""
    rows = run(
        db,
        "SELECT s.id, u.id, u.name, u.role FROM console_sessions AS s"
        " JOIN console_users AS u ON u.id = s.user_id"
        " WHERE s.digest = ? AND s.expires_at > ? AND u.removed_at IS NULL",
        (digest(secret), int(now)),
    )
    return ConsoleSession(*rows[0]) if rows else None


def in_force(db: apsw.Connection, ids: frozenset[int], now: float) -> frozenset[int]:
    """Those of these sessions that last."""
    rows = run(
        db,
        f"SELECT id FROM console_sessions WHERE {among(ids)} AND expires_at > ?",  # noqa: S608 - numbers
        (int(now),),
    )
    return frozenset(number for (number,) in rows)


def of_user(db: apsw.Connection, user: int, now: float) -> list[dict[str, Any]]:
    """The user's sessions, newest first; times in Unix seconds."""
    names = ("id", "created_at", "expires_at", "address", "agent")
    rows = run(
        db,
        "SELECT id, created_at, expires_at, address, agent FROM console_sessions"
        " WHERE user_id = ? AND expires_at > ? ORDER BY id DESC",
        (user, int(now)),
    )
    return named(names, rows)


def end(db: apsw.Connection, user: int, session: int) -> None:
    """End one of the user's sessions."""
    run(db, "DELETE FROM console_sessions WHERE id = ? AND user_id = ?", (session, user))


def end_others(db: apsw.Connection, user: int, session: int | None) -> None:
    """End all of the user's sessions but this one."""
    run(db, "DELETE FROM console_sessions WHERE user_id = ? AND id IS NOT ?", (user, session))
