"""Users of the console, and the login links that let each of them in once.

Invariant: of links only digests are kept; of passphrases, what `airoxy.console.passphrases` makes.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

import apsw

from airoxy.core.names import printable
from airoxy.errors import Conflict
from airoxy.store.names import is_free, listed, none_such
from airoxy.store.schema import run, transaction

#: What a user may be: one who looks, and one who changes things as well.
VIEWER, ADMIN = "viewer", "admin"
ROLES = (VIEWER, ADMIN)
#: How long a login link works (seconds).
LINK_LIFETIME = 900

_COLUMNS = {
    **{name: name for name in ("id", "name", "role")},
    "has_passphrase": "passphrase IS NOT NULL",
    **{name: name for name in ("created_at", "last_login_at")},
}


class ConsoleUser(NamedTuple):
    """Who is logged in; `passphrase` is as `airoxy.console.passphrases` keeps it."""

    id: int
    name: str
    role: str
    passphrase: str | None


def add_user(db: apsw.Connection, name: str, role: str, now: float) -> int:
    """The new user's id. Raises Conflict."""
    with transaction(db):
        if not is_free(db, "console_users", name):
            raise Conflict(
                f"A user named {name!r} is there already; `airoxy console user link` makes a new"
                " login link."
            )
        ((user_id,),) = run(
            db,
            "INSERT INTO console_users (name, role, created_at) VALUES (?, ?, ?) RETURNING id",
            (name, role, int(now)),
        )
    return int(user_id)


def list_users(db: apsw.Connection) -> list[dict[str, Any]]:
    """Those not removed, oldest first; times in Unix seconds."""
    users = listed(db, "console_users", _COLUMNS)
    for user in users:
        user["has_passphrase"] = bool(user["has_passphrase"])
    return users


def is_empty(db: apsw.Connection) -> bool:
    """Whether there is nobody who could log in."""
    return not run(db, "SELECT 1 FROM console_users WHERE removed_at IS NULL LIMIT 1")


def find_user(db: apsw.Connection, name: str) -> ConsoleUser | None:
    """The one with this name."""
    rows = run(
        db,
        "SELECT id, name, role, passphrase FROM console_users"
        " WHERE name = ? AND removed_at IS NULL",
        (name,),
    )
    return ConsoleUser(*rows[0]) if rows else None


def user_id(db: apsw.Connection, name: str) -> int:
    """The id of the one with this name. Raises NotFound."""
    user = find_user(db, name)
    if user is None:
        raise none_such("console_users", printable(name))
    return user.id


def set_role(db: apsw.Connection, user: int, role: str) -> None:
    """What the user may do from the next request on."""
    run(db, "UPDATE console_users SET role = ? WHERE id = ?", (role, user))


def set_passphrase(db: apsw.Connection, user: int, passphrase: str | None) -> None:
    """None takes it away: the user then logs in by links only."""
    run(db, "UPDATE console_users SET passphrase = ? WHERE id = ?", (passphrase, user))


def remove_user(db: apsw.Connection, user: int, now: float) -> None:
    """The user is logged out everywhere at once; the row stays as a name for the audit."""
    with transaction(db):
        run(
            db,
            "UPDATE console_users SET removed_at = ?, passphrase = NULL WHERE id = ?",
            (int(now), user),
        )
        run(db, "DELETE FROM console_sessions WHERE user_id = ?", (user,))
        run(db, "DELETE FROM console_links WHERE user_id = ?", (user,))


def new_link(db: apsw.Connection, user: int, now: float) -> str:
    """The secret of a login link, in place of one that was not used."""
    secret = secrets.token_urlsafe(32)
    with transaction(db):
        run(db, "DELETE FROM console_links WHERE user_id = ? OR expires_at <= ?", (user, int(now)))
        run(
            db,
            "INSERT INTO console_links (digest, user_id, expires_at) VALUES (?, ?, ?)",
            (digest(secret), user, int(now) + LINK_LIFETIME),
        )
        run(db, "UPDATE console_users SET link_made_at = ? WHERE id = ?", (int(now * 1000), user))
    return secret


def linked_user(db: apsw.Connection, secret: str, now: float) -> ConsoleUser | None:
    """Whom the link would let in, which it does once."""
    rows = run(
        db,
        "SELECT u.id, u.name, u.role, u.passphrase FROM console_links AS l"
        " JOIN console_users AS u ON u.id = l.user_id"
        " WHERE l.digest = ? AND l.expires_at > ? AND u.removed_at IS NULL",
        (digest(secret), int(now)),
    )
    return ConsoleUser(*rows[0]) if rows else None


def use_link(db: apsw.Connection, secret: str, now: float) -> ConsoleUser | None:
    """Whom the link lets in; it does not work again."""
    with transaction(db):
        user = linked_user(db, secret, now)
        run(db, "DELETE FROM console_links WHERE digest = ?", (digest(secret),))
    return user


def digest(secret: str) -> bytes:
    """SHA-256 of a secret of ours. It is random, so neither salt nor stretching would add."""
    return hashlib.sha256(secret.encode()).digest()
