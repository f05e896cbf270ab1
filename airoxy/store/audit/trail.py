"""The audit trail: who has changed what in keys, tokens and users, when, and what it was before.

Invariant: a change and its entry are one transaction, because triggers write the entries (see
`airoxy.store.audit.triggers`). No entry has a secret in it.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.store.schema import run


class Actor(NamedTuple):
    """Who makes changes: a name, the user id of a person at a terminal, and the command or the
    other process by which the change was made."""

    name: str
    uid: int | None = None
    via: str = ""


#: What workers change of their own accord: tokens that Anthropic refuses.
SERVER = Actor("server")


class AuditEntry(NamedTuple):
    """One change; `before` and `after` have the columns that differ. Of what was added there is no
    before, of what was removed no after. `at` is in Unix milliseconds."""

    id: int
    at: int
    actor: str
    uid: int | None
    via: str
    kind: str
    subject: int
    name: str
    action: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


_COLUMNS = ", ".join(AuditEntry._fields)

# Temporary, so that they are this connection's alone.
_ACTING = """
CREATE TEMP TABLE IF NOT EXISTS acting (name TEXT, uid INTEGER, via TEXT);
CREATE TEMP TABLE IF NOT EXISTS recorded (id INTEGER PRIMARY KEY);
CREATE TEMP TRIGGER IF NOT EXISTS audit_acting AFTER INSERT ON main.audit
BEGIN
    UPDATE audit SET (actor, uid, via) = (SELECT name, uid, via FROM acting) WHERE id = NEW.id;
    INSERT INTO recorded VALUES (NEW.id);
    DELETE FROM recorded WHERE id < NEW.id - 100000;  -- of a process that never takes them
END;
DELETE FROM acting;
"""


def act_as(db: apsw.Connection, actor: Actor) -> None:
    """From here on what is changed by `db` is changed by `actor`. Without it nobody knows."""
    run(db, _ACTING)
    run(db, "INSERT INTO acting VALUES (?, ?, ?)", actor)


def take_recorded(db: apsw.Connection) -> list[AuditEntry]:
    """What was changed by `db` since this was asked last, or since `act_as`."""
    entries = _entries(db, "id IN (SELECT id FROM recorded)")
    run(db, "DELETE FROM recorded")
    return entries


def read_trail(
    db: apsw.Connection,
    *,
    since: float | None = None,
    until: float | None = None,
    subjects: Mapping[str, int] | None = None,
    before_id: int | None = None,
    limit: int = -1,
) -> list[AuditEntry]:
    """The newest entries in the order in which they were made: of the time from `since` until
    before `until` (Unix seconds), of those before an id, and about these subjects, by kind."""
    conditions, values = ["TRUE"], []
    if since is not None:
        conditions.append("at >= ?")
        values.append(int(since * 1000))
    if until is not None:
        conditions.append("at < ?")
        values.append(int(until * 1000))
    if before_id is not None:
        conditions.append("id < ?")
        values.append(before_id)
    if subjects:
        conditions.append(f"({' OR '.join(['(kind, subject) = (?, ?)'] * len(subjects))})")
        values += [each for subject in subjects.items() for each in subject]  # type: ignore[misc]
    return _entries(db, " AND ".join(conditions), tuple(values), limit)


def _entries(
    db: apsw.Connection, condition: str, values: tuple[Any, ...] = (), limit: int = -1
) -> list[AuditEntry]:
    rows = run(
        db,
        f"SELECT {_COLUMNS} FROM audit WHERE {condition} ORDER BY id DESC LIMIT ?",
        (*values, limit),
    )
    entries = (AuditEntry(*row) for row in reversed(rows))
    return [each._replace(before=_read(each.before), after=_read(each.after)) for each in entries]


def _read(text: Any) -> Mapping[str, Any] | None:
    return None if text is None else json.loads(text)


def forget_before(db: apsw.Connection, moment: float, most: int) -> int:
    """Delete at most `most` entries of before `moment` (Unix seconds); how many it were."""
    gone = run(
        db,
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY id LIMIT ?)"
        " RETURNING id",
        (int(moment * 1000), most),
    )
    return len(gone)
