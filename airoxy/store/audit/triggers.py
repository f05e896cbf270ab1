"""The triggers that record changes of keys, groups, tokens and the console's users.

Invariant: an entry is written in the transaction that makes the change.

They are derived from the columns that the tables have, and made anew with every migration: a new
column is recorded unless it is among those that are left out here.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw


class _Audited(NamedTuple):
    """A table: what one of its rows is called, and the columns whose changes are not recorded:
    secrets, what follows from another column, and what the server changes while it works."""

    kind: str
    unrecorded: frozenset[str]


_AUDITED = {
    "api_keys": _Audited("key", frozenset({"id", "digest", "created_at", "removed_at"})),
    "groups": _Audited("group", frozenset({"id", "created_at", "removed_at"})),
    "tokens": _Audited(
        "token",
        frozenset({
            "id", "token", "refresh_token", "token_digest", "refresh_digest", "masked",
            "expires_at", "inactive_since", "last_used_at", "refresh_failures",
            "refreshing_until", "refreshing_by", "retry_refresh_at", "refresh_pauses",
            "refresh_asked_at", "refreshed_at", "reset_at", "created_at", "removed_at",
        }),
    ),
    "console_users": _Audited(
        "console user",
        frozenset({"id", "passphrase", "created_at", "last_login_at", "link_made_at",
                   "removed_at"}),
    ),
    "console_api_tokens": _Audited(
        "API token", frozenset({"id", "digest", "masked", "created_at", "removed_at"})
    ),
}  # fmt: skip

#: What is recorded in a column's place, and what that is called.
_IN_PLACE = {
    "old_digests": (
        "old_secret_until",
        "(SELECT max(value ->> 'until') FROM json_each({row}.old_digests))",
    ),
    "group_id": ("group_name", "(SELECT name FROM groups WHERE id = {row}.group_id)"),
}

_NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)"
#: What has become of a row, by the column that says so; the first that has changed.
_ACTIONS = {
    "removed_at": "'removed'",
    "is_active": "iif(NEW.is_active, 'enabled', 'disabled')",
    "digest": "'rotated'",
    "old_digests": "'rotated'",
    "reset_at": "'reset'",
    "passphrase": "iif(NEW.passphrase IS NULL, 'passphrase removed', 'passphrase set')",
    "link_made_at": "'login link made'",
}


def derive(db: apsw.Connection) -> None:
    """Make the triggers anew, in the caller's transaction."""
    cursor = db.cursor()
    for table, audited in _AUDITED.items():
        found = cursor.execute("SELECT name FROM pragma_table_info(?)", (table,))
        columns = [name for (name,) in found]
        if columns:
            cursor.execute(_triggers(table, audited, columns))


def _triggers(table: str, audited: _Audited, columns: Sequence[str]) -> str:
    recorded = [name for name in columns if name not in audited.unrecorded]
    known = [name for name in _ACTIONS if name in columns]
    actions = " ".join(f"WHEN {_differs(name)} THEN {_ACTIONS[name]}" for name in known)
    changed = " OR ".join(map(_differs, dict.fromkeys((*recorded, *known))))
    removed = f"WHEN {_differs('removed_at')}"
    before = f"CASE {removed} THEN {_whole(recorded, 'OLD')} ELSE {_changed(recorded, 'OLD')} END"
    after = f"CASE {removed} THEN NULL ELSE {_changed(recorded, 'NEW')} END"
    return f"""
DROP TRIGGER IF EXISTS {table}_audit_added;
CREATE TRIGGER {table}_audit_added AFTER INSERT ON {table}
BEGIN
    {_entry(audited.kind, "NEW", "'added'", "NULL", _whole(recorded, "NEW"))}
END;

DROP TRIGGER IF EXISTS {table}_audit_changed;
CREATE TRIGGER {table}_audit_changed
AFTER UPDATE OF {", ".join(dict.fromkeys((*recorded, *known)))} ON {table} WHEN {changed}
BEGIN
    {_entry(audited.kind, "NEW", f"CASE {actions} ELSE 'changed' END", before, after)}
END;

DROP TRIGGER IF EXISTS {table}_audit_deleted;
CREATE TRIGGER {table}_audit_deleted AFTER DELETE ON {table}
BEGIN
    {_entry(audited.kind, "OLD", "'removed'", _whole(recorded, "OLD"), "NULL")}
END;
"""


def _entry(kind: str, row: str, action: str, before: str, after: str) -> str:
    return (
        "INSERT INTO audit (at, kind, subject, name, action, before, after) VALUES"
        f" ({_NOW_MS}, '{kind}', {row}.id, {row}.name, {action}, {before}, {after});"
    )


def _differs(column: str) -> str:
    return f"OLD.{column} IS NOT NEW.{column}"


def _changed(columns: Sequence[str], row: str) -> str:
    """The columns that have changed, as JSON, of the row before or after."""
    rows = " UNION ALL ".join(f"{_field(name, row)} WHERE {_differs(name)}" for name in columns)
    return f"(SELECT json_group_object(field, value) FROM ({rows}))"


def _whole(columns: Sequence[str], row: str) -> str:
    """What the row says, as JSON."""
    rows = " UNION ALL ".join(_field(name, row) for name in columns)
    return f"(SELECT json_group_object(field, value) FROM ({rows}) WHERE value IS NOT NULL)"


def _field(column: str, row: str) -> str:
    name, value = _IN_PLACE.get(column, (column, f"{{row}}.{column}"))
    return f"SELECT '{name}' AS field, {value.format(row=row)} AS value"
