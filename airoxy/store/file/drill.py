"""A restored database with which a restore is only practised: its OAuth tokens are disabled."""

from __future__ import annotations

import apsw

from airoxy.store.schema import run

_REASON = "disabled for a restore drill"


def disable_oauth(db: apsw.Connection, now: float) -> None:
    """A refresh token works once, and these are production's."""
    run(
        db,
        "UPDATE tokens SET is_active = 0, inactive_reason = ?, inactive_since = ?"
        " WHERE type = 'oauth' AND is_active",
        (_REASON, int(now)),
    )


def is_drill(db: apsw.Connection) -> bool:
    """Whether there is an OAuth token that is off for this reason, and none that is in use."""
    oauth = "SELECT 1 FROM tokens WHERE type = 'oauth' AND removed_at IS NULL AND "
    [(found,)] = run(
        db,
        f"SELECT EXISTS ({oauth} inactive_reason = ?) AND NOT EXISTS ({oauth} is_active)",
        (_REASON,),
    )
    return bool(found)
