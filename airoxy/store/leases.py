"""Leases for the refresh of OAuth tokens: one process at a time refreshes a token.

Invariant: a process that asks Anthropic for a new pair holds the token's lease, notes that it asks
before it does, and stores the answer in one statement.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import os
from typing import NamedTuple

import apsw

from airoxy.store.schema import run

#: So many refusals in a row, and a token is not refreshed any more.
REFUSALS = 3


class Lease(NamedTuple):
    """The right to refresh a token, and what that takes."""

    id: int
    name: str
    token: str
    refresh_token: str
    refresh_pauses: int
    refresh_failures: int = 0

    def __repr__(self) -> str:
        return f"Lease(id={self.id}, name={self.name!r})"


class Refreshing(NamedTuple):
    """The state of a token's refresh; `until` and `by` are of the lease, if there is one.
    `asked_at`: the refresh token was sent then, and no answer is known."""

    id: int
    name: str
    token: str
    until: float | None
    by: int | None
    retry_at: float | None
    expires_at: int | None = None
    asked_at: float | None = None
    pauses: int = 0

    def __repr__(self) -> str:
        return f"Refreshing(id={self.id}, name={self.name!r})"


def refreshing(db: apsw.Connection, token_id: int | None = None) -> list[Refreshing]:
    """The tokens that can be refreshed: this one, or all that are active or being refreshed. Raises
    StoreError where their key cannot be found."""
    which = "id = ?1" if token_id is not None else "(is_active OR refreshing_until IS NOT NULL)"
    rows = run(
        db,
        "SELECT id, name, unseal(token), refreshing_until, refreshing_by, retry_refresh_at,"
        " expires_at, refresh_asked_at, refresh_pauses"
        f" FROM tokens WHERE unseal(token) IS NOT NULL AND unseal(refresh_token) IS NOT NULL"
        f" AND {which} ORDER BY id",
        (token_id,) if token_id is not None else (),
    )
    return [Refreshing(*row) for row in rows]


def lease_refresh(
    db: apsw.Connection, token_id: int, now: float, seconds: float, owner: int
) -> Lease | None:
    """The right of process `owner` to refresh it for so long; None while another has it."""
    found = run(
        db,
        "UPDATE tokens SET refreshing_until = ?1 + ?2, refreshing_by = ?4"
        " WHERE id = ?3 AND refresh_token IS NOT NULL AND ifnull(refreshing_until, 0) <= ?1"
        " RETURNING id, name, unseal(token), unseal(refresh_token), refresh_pauses,"
        " refresh_failures",
        (now, seconds, token_id, owner),
    )
    return Lease(*found[0]) if found else None


def extend_lease(db: apsw.Connection, token_id: int, until: float, owner: int) -> bool:
    """False if `owner` has the lease no longer."""
    return bool(
        run(
            db,
            "UPDATE tokens SET refreshing_until = ?"
            " WHERE id = ? AND refreshing_by = ? AND refreshing_until IS NOT NULL RETURNING id",
            (until, token_id, owner),
        )
    )


def note_asked(db: apsw.Connection, token_id: int, now: float, owner: int) -> bool:
    """From now on the refresh token may be spent; False if `owner` has the lease no longer."""
    return bool(
        run(
            db,
            "UPDATE tokens SET refresh_asked_at = ?"
            " WHERE id = ? AND refreshing_by = ? AND refreshing_until IS NOT NULL RETURNING id",
            (now, token_id, owner),
        )
    )


def break_lease(db: apsw.Connection, token_id: int, owner: int, retry_at: float) -> bool:
    """Take back the lease of a process that has died. If it may have spent the refresh token
    (True), the next try may be made at `retry_at`, else at once."""
    found = run(
        db,
        "UPDATE tokens SET refreshing_until = NULL,"
        " refresh_pauses = refresh_pauses + (refresh_asked_at IS NOT NULL),"
        " retry_refresh_at = iif(refresh_asked_at IS NULL, retry_refresh_at, ?)"
        " WHERE id = ? AND refreshing_by = ? AND refreshing_until IS NOT NULL"
        " RETURNING refresh_asked_at",
        (retry_at, token_id, owner),
    )
    return bool(found and found[0][0])


def return_lease(db: apsw.Connection, token_id: int, owner: int) -> None:
    """Nothing was sent under it. That an earlier refresh may have spent the refresh token stays
    known, in a fleet to all hosts."""
    run(
        db,
        "UPDATE tokens SET refreshing_until = NULL WHERE id = ? AND refreshing_by = ?",
        (token_id, owner),
    )


def release_lease(db: apsw.Connection, token_id: int, retry_at: float) -> None:
    """Nothing came of it: the next try may be made at `retry_at`."""
    run(
        db,
        "UPDATE tokens SET refreshing_until = NULL, refresh_asked_at = NULL,"
        " retry_refresh_at = ?1, refresh_pauses = refresh_pauses + 1 WHERE id = ?2",
        (retry_at, token_id),
    )


def store_refreshed(
    db: apsw.Connection,
    token_id: int,
    old_refresh: str,
    token: str,
    refresh_token: str,
    expires_at: int,
    now: float,
) -> bool:
    """Put the new pair in the place of the old; False if the token has another one by now.

    It is active again if it was airoxy that had deactivated it; an operator's word stays.
    """
    return bool(
        run(
            db,
            "UPDATE tokens SET token = seal(?1), refresh_token = seal(?2),"
            " token_digest = fingerprint(?1), refresh_digest = fingerprint(?2),"
            " masked = masked(?1), expires_at = ?3, refreshed_at = ?4,"
            " refresh_failures = 0, refreshing_until = NULL, retry_refresh_at = NULL,"
            " refresh_pauses = 0, refresh_asked_at = NULL,"
            " is_active = is_active OR inactive_reason IS NOT NULL,"
            " inactive_since = CASE WHEN inactive_reason IS NULL THEN inactive_since END,"
            " inactive_reason = NULL WHERE id = ?5 AND refresh_digest = fingerprint(?6)"
            " RETURNING id",
            (token, refresh_token, int(expires_at), int(now), token_id, old_refresh),
        )
    )


def count_refusal(
    db: apsw.Connection, token_id: int, reason: str, now: float, *, retry_at: float, final: bool
) -> bool:
    """Refreshing was refused, for good (`final`) or until `retry_at`; whether the token is still
    active: after REFUSALS in a row it is not."""
    found = run(
        db,
        "UPDATE tokens SET refresh_failures = refresh_failures + 1, refreshing_until = NULL,"
        " retry_refresh_at = ?6, refresh_asked_at = NULL,"
        " is_active = is_active AND NOT (?1 OR refresh_failures + 1 >= ?2),"
        " inactive_reason = CASE WHEN is_active AND (?1 OR refresh_failures + 1 >= ?2) THEN ?3"
        " ELSE inactive_reason END,"
        " inactive_since = CASE WHEN is_active AND (?1 OR refresh_failures + 1 >= ?2) THEN ?4"
        " ELSE inactive_since END"
        " WHERE id = ?5 AND removed_at IS NULL RETURNING is_active",
        (final, REFUSALS, reason, int(now), token_id, retry_at),
    )
    return bool(found and found[0][0])


def lives(process: int) -> bool:
    """Whether the process that has taken a lease still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's, but alive
    return True
