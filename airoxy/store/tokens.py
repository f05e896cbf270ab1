"""Upstream tokens: the pool as it is remembered, with coolings, leases and what belongs to whom.

Invariant: a change that follows from an answer names the secret that was used for the request; if
the token has another one by now, nothing happens. Secrets are encrypted (see
`airoxy.store.encryption`), compared by fingerprint, and decrypted only where they are used.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from airoxy.core.limits.token_settings import SETTINGS
from airoxy.core.pool import OwnLimits, Scope, Token
from airoxy.core.quota import QuotaWindow
from airoxy.errors import Conflict
from airoxy.store.names import change, listed, named, none_such, refuse_taken, set_columns
from airoxy.store.schema import among, run, transaction
from airoxy.store.token_spending import spent

_LISTED = (
    "id",
    "name",
    "type",
    "masked",
    "is_active",
    "inactive_reason",
    "inactive_since",
    "expires_at",
    "refresh_failures",
    "refreshed_at",
    "retry_refresh_at",
    "last_used_at",
    "created_at",
    *(column for _, column, _ in SETTINGS),
)
_COLUMNS = {
    **{name: name for name in _LISTED},
    "refresh_interrupted_at": "iif(refreshing_until IS NULL, refresh_asked_at, NULL)",
}
#: The columns of a Token.
_LOADED = (
    "id, name, type, unseal(token), expires_at, reset_at, priority, pool,"
    " spend_per_day_nanousd, spend_per_month_nanousd, concurrent_requests"
)
#: What may be set of a token.
SETTABLE = ("name", *(column for _, column, _ in SETTINGS))


class StoredCooldown(NamedTuple):
    """`until` in Unix seconds."""

    token_id: int
    scope: Scope
    until: float
    reason: str
    set_at_ns: int


# What commands do


def add_token(
    db: apsw.Connection,
    *,
    name: str,
    type: str,  # noqa: A002
    token: str,
    refresh_token: str | None,
    expires_at: int | None,
    now: float,
) -> int:
    """The new token's id. Raises Conflict for a name or a secret that is there already."""
    with transaction(db):
        refuse_known(db, name, token, refresh_token)
        ((token_id,),) = run(
            db,
            "INSERT INTO tokens (name, type, token, refresh_token, expires_at, created_at,"
            " masked, token_digest, refresh_digest)"
            " VALUES (?1, ?2, seal(?3), seal(?4), ?5, ?6,"
            " masked(?3), fingerprint(?3), fingerprint(?4)) RETURNING id",
            (name, type, token, refresh_token, expires_at, int(now)),
        )
    return int(token_id)


def refuse_known(db: apsw.Connection, name: str, token: str, refresh_token: str | None) -> None:
    """Raises Conflict for a name or a secret that is there already."""
    refuse_taken(db, "tokens", name)
    # As subqueries they are computed once, not for every row.
    known = run(
        db,
        "SELECT id, name FROM tokens WHERE token_digest = (SELECT fingerprint(?))"
        " OR refresh_digest = (SELECT fingerprint(?))",
        (token, refresh_token),
    )
    if known:
        raise Conflict(f"That token is there already: {known[0][0]} ({known[0][1]}).")


def list_tokens(db: apsw.Connection, now: float) -> list[dict[str, Any]]:
    """Those not removed, masked, with the coolings in force; the fields are the columns. One that
    is not `is_readable` is encrypted under a key that cannot be found."""
    resting: dict[int, list[dict[str, Any]]] = {}
    for cooling in coolings(db, now):
        shown = {**cooling.scope._asdict(), "until": cooling.until}
        resting.setdefault(cooling.token_id, []).append(shown | {"reason": cooling.reason})
    found = listed(db, "tokens", _COLUMNS)
    # Who may only look at the database does not see the key, and cannot tell.
    looks = not os.access(Path(db.filename).parent, os.W_OK, effective_ids=True)
    readable = looks or bool(found and run(db, "SELECT key_fits()")[0][0])
    windows = quota_windows(db, now)
    limits = ("spend_per_day_nanousd", "spend_per_month_nanousd")
    limited = {row["id"] for row in found if any(row[limit] for limit in limits)}
    sums = dict.fromkeys(limited, (0, 0)) | spent(db, now) if limited else {}
    for row in found:
        names = ("spent_today_nanousd", "spent_this_month_nanousd")
        row |= zip(names, sums[row["id"]] if row["id"] in limited else (None, None), strict=True)
        row["quota"] = windows.get(row["id"], [])
        row["is_readable"] = readable
        row["is_active"] = bool(row["is_active"])
        row["coolings"] = resting.get(row["id"], [])
    return found


def find_token(db: apsw.Connection, token_id: int, now: float) -> dict[str, Any]:
    """The one with this id, as it is listed. Raises NotFound."""
    for row in list_tokens(db, now):
        if row["id"] == token_id:
            return row
    raise none_such("tokens", token_id)


def set_token(db: apsw.Connection, token_id: int, changes: Mapping[str, Any]) -> None:
    """Change those of SETTABLE that are named. Raises NotFound, Conflict."""
    wanted = {name: changes[name] for name in SETTABLE if name in changes}
    set_columns(db, "tokens", token_id, wanted)


def set_active(db: apsw.Connection, token_id: int, active: bool, now: float) -> None:
    """Enable or disable; one that is as wanted stays as it is. Raises NotFound."""
    if change(db, "tokens", token_id, "id = id") != active:
        toggle_token(db, token_id, now)


def load_token(db: apsw.Connection, token_id: int) -> Token | None:
    """With its secret, active or not; None where that cannot be decrypted."""
    rows = run(db, f"SELECT {_LOADED} FROM tokens WHERE id = ?", (token_id,))
    return _loaded(rows[0]) if rows and rows[0][3] is not None else None


def _loaded(row: tuple[Any, ...]) -> Token:
    token, limits = Token(*row[:8]), OwnLimits(*row[8:])
    return replace(token, limits=limits) if any(each is not None for each in limits) else token


def remove_token(db: apsw.Connection, token_id: int, now: float) -> None:
    """It and its secrets go; its row stays as a name for its history. Raises NotFound."""
    change(
        db,
        "tokens",
        token_id,
        "removed_at = ?, is_active = 0, token = NULL, refresh_token = NULL,"
        " masked = NULL, token_digest = NULL, refresh_digest = NULL",
        (int(now),),
    )


def toggle_token(db: apsw.Connection, token_id: int, now: float) -> bool:
    """Disable or enable; the new state. Raises NotFound."""
    return bool(
        change(
            db,
            "tokens",
            token_id,
            "is_active = NOT is_active, inactive_reason = NULL,"
            " inactive_since = CASE WHEN is_active THEN ? END, refresh_failures = 0",
            (int(now),),
        )
    )


def reset_token(db: apsw.Connection, token_id: int, now: float) -> None:
    """Active, not cooling, no failures. Raises NotFound."""
    with transaction(db):
        # Coolings that are still on their way to the database are known by their time; those that
        # are there may be of before the clock was set back.
        change(
            db,
            "tokens",
            token_id,
            "is_active = 1, inactive_reason = NULL, inactive_since = NULL, refresh_failures = 0,"
            " retry_refresh_at = NULL, reset_at = max(?, (SELECT ifnull(max(set_at), 0)"
            " FROM cooldowns WHERE token_id = tokens.id)),"
            " refresh_asked_at = iif(refreshing_until IS NULL, NULL, refresh_asked_at)",
            (int(now * 1e9),),
        )
        run(db, "DELETE FROM cooldowns WHERE token_id = ?", (token_id,))


# What the server reads and leaves


def usable_tokens(db: apsw.Connection, ids: Collection[int] | None = None) -> list[Token]:
    """Those (of these ids) that are active, by id, the expired ones too, less what is damaged.
    Raises StoreError where their key cannot be found."""
    rows = run(
        db,
        f"SELECT {_LOADED} FROM tokens WHERE is_active AND removed_at IS NULL"
        f" AND {among(ids)} ORDER BY id",
    )
    return [_loaded(row) for row in rows if row[3] is not None]


def note_used(db: apsw.Connection, used: Mapping[int, int]) -> None:
    """Remember the last use (Unix nanoseconds) of each token; an earlier one changes nothing."""
    db.cursor().executemany(
        "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1 AND ifnull(last_used_at, 0) < ?2",
        used.items(),
    )


def deactivate(db: apsw.Connection, token_id: int, reason: str, secret: str, now: float) -> None:
    """Anthropic refuses `secret` for good: the token is not used any more, if it is still that."""
    run(
        db,
        "UPDATE tokens SET is_active = 0, inactive_reason = ?, inactive_since = ?"
        " WHERE id = ? AND token_digest = fingerprint(?) AND is_active",
        (reason, int(now), token_id, secret),
    )


def cool(
    db: apsw.Connection,
    token_id: int,
    scope: Scope,
    until: float,
    reason: str,
    set_at_ns: int,
) -> None:
    """The token is not used for `scope` until then, unless it was reset since or is removed."""
    run(
        db,
        "INSERT INTO cooldowns (token_id, endpoint_group, model_class, until, reason, set_at)"
        " SELECT id, ?, ?, ?, ?, ? FROM tokens"
        " WHERE id = ? AND removed_at IS NULL AND reset_at < ?5"
        " ON CONFLICT DO UPDATE SET until = excluded.until, reason = excluded.reason,"
        " set_at = excluded.set_at WHERE excluded.set_at >= set_at",
        (*scope, until, reason, set_at_ns, token_id),
    )


def coolings(db: apsw.Connection, now: float) -> list[StoredCooldown]:
    """Those in force, by token and scope."""
    rows = run(
        db,
        "SELECT c.token_id, c.endpoint_group, c.model_class, c.until, c.reason, c.set_at"
        " FROM cooldowns AS c"
        " JOIN tokens AS t ON t.id = c.token_id"
        " WHERE c.until > ? AND t.removed_at IS NULL AND c.set_at > t.reset_at"
        " ORDER BY c.token_id, c.endpoint_group, c.model_class",
        (now,),
    )
    return [StoredCooldown(row[0], Scope(*row[1:3]), *row[3:]) for row in rows]


def note_quota(
    db: apsw.Connection, token_id: int, windows: Mapping[str, QuotaWindow], now: float
) -> None:
    """Remember the quota windows of a subscription in place of those that were known."""
    with transaction(db):
        run(db, "DELETE FROM quota_windows WHERE token_id = ?", (token_id,))
        db.cursor().executemany(
            "INSERT INTO quota_windows SELECT id, ?, ?, ?, ? FROM tokens"
            " WHERE id = ? AND removed_at IS NULL",
            [
                (name, window.used, int(window.resets_at), int(now), token_id)
                for name, window in windows.items()
            ],
        )


def quota_windows(db: apsw.Connection, now: float) -> dict[int, list[dict[str, Any]]]:
    """Those that were seen and have not begun anew since, by token."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = run(
        db,
        "SELECT token_id, name, used, resets_at, seen_at FROM quota_windows WHERE resets_at > ?"
        " ORDER BY token_id, name",
        (now,),
    )
    for window in named(("token_id", "window", "used", "resets_at", "seen_at"), rows):
        found.setdefault(window.pop("token_id"), []).append(window)
    return found


# Logins of Claude Code that are taken over


def by_refresh_token(db: apsw.Connection, refresh_token: str) -> tuple[int, str] | None:
    """Id and name of the token that has it."""
    found = run(
        db,
        "SELECT id, name FROM tokens WHERE refresh_digest = (SELECT fingerprint(?))",
        (refresh_token,),
    )
    return (int(found[0][0]), found[0][1]) if found else None


def update_login(db: apsw.Connection, refresh_token: str, token: str, expires_at: int) -> bool:
    """Take a newer access token over; False if what is known lives as long."""
    with transaction(db):
        found = run(
            db,
            "UPDATE tokens SET token = seal(?1), token_digest = fingerprint(?1),"
            " masked = masked(?1), expires_at = ?2"
            " WHERE refresh_digest = (SELECT fingerprint(?3))"
            " AND token_digest <> (SELECT fingerprint(?1))"
            " AND ifnull(expires_at, 0) < ?2 RETURNING id",
            (token, expires_at, refresh_token),
        )
    return bool(found)
