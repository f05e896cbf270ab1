"""Groups of client keys: their names, their keys and the limits of all these together."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM, Holder, of_group
from airoxy.core.limits.table import GROUP_LIMITS, Limits
from airoxy.errors import Conflict, InvalidInput
from airoxy.store.keys import unpacked
from airoxy.store.limits import packed, sum_spending
from airoxy.store.names import change, listed, none_such, refuse_taken, set_columns
from airoxy.store.schema import run, transaction

#: The fields of a group as they are shown: its own, then its limits.
FIELDS = ("id", "name", "created_at", "note")
_LIMITS = tuple(limit.column for limit in GROUP_LIMITS)
_COLUMNS = {name: name for name in (*FIELDS, *_LIMITS)}
#: What may be changed.
SETTABLE = (*_LIMITS, "note", "name")
#: With these words a key is in no group, or in no other than that of all.
_RESERVED = ("all", "none")


def add_group(
    db: apsw.Connection, name: str, now: float, changes: Mapping[str, Any] | None = None
) -> int:
    """The new group's id; `changes` are limits and a note. Raises Conflict, InvalidInput."""
    with transaction(db):
        _check_name(db, name, 0)
        ((group_id,),) = run(
            db,
            "INSERT INTO groups (name, created_at) VALUES (?, ?) RETURNING id",
            (name, int(now)),
        )
        sum_spending(db, group_id + GROUPS_FROM)
        if changes:
            set_group(db, group_id, changes)
    return int(group_id)


def set_group(db: apsw.Connection, group_id: int, changes: Mapping[str, Any]) -> None:
    """Change those of SETTABLE that are named; None takes one away. Raises NotFound, Conflict,
    InvalidInput."""
    values = packed(changes, SETTABLE)
    with transaction(db):
        if "name" in values:
            _check_name(db, values["name"], group_id)
        set_columns(db, "groups", group_id, values)
        if any(value is not None for name, value in values.items() if name.startswith("spend_")):
            sum_spending(db, group_id + GROUPS_FROM)


def _check_name(db: apsw.Connection, name: str, group_id: int) -> None:
    if group_id == EVERYBODY:
        raise Conflict("The group of all keys is built in and keeps its name.")
    if name.lower() in _RESERVED:
        raise InvalidInput(f"No group can be named {name!r}; choose another name.")
    refuse_taken(db, "groups", name, group_id)


def remove_group(db: apsw.Connection, group_id: int, now: float) -> None:
    """Its keys are in no group then, and its row stays as a name for its history. Raises NotFound,
    Conflict."""
    if group_id == EVERYBODY:
        raise Conflict("The group of all keys is built in and cannot be removed.")
    with transaction(db):
        change(db, "groups", group_id, "removed_at = ?", (int(now),), returning="1")
        run(
            db,
            "UPDATE api_keys SET group_id = NULL WHERE group_id = ? AND removed_at IS NULL",
            (group_id,),
        )


def list_groups(db: apsw.Connection) -> list[dict[str, Any]]:
    """Those not removed, that of all keys first; `api_keys` are the names of a group's keys."""
    members: dict[int, list[str]] = {EVERYBODY: []}
    for name, group_id in run(
        db, "SELECT name, group_id FROM api_keys WHERE removed_at IS NULL ORDER BY id"
    ):
        members[EVERYBODY].append(name)
        if group_id is not None:
            members.setdefault(group_id, []).append(name)
    return [
        {**group, **unpacked(group, GROUP_LIMITS), "api_keys": members.get(group["id"], [])}
        for group in listed(db, "groups", _COLUMNS)
    ]


def find_group(db: apsw.Connection, group_id: int) -> dict[str, Any]:
    """The one with this id. Raises NotFound."""
    for group in list_groups(db):
        if group["id"] == group_id:
            return group
    raise none_such("groups", group_id)


def limits_of_groups(db: apsw.Connection) -> dict[int, Holder]:
    """Those groups that have limits, by id."""
    columns = ", ".join(_LIMITS)
    rows = run(
        db,
        f"SELECT id, name, {columns} FROM groups"
        f" WHERE removed_at IS NULL AND coalesce({columns}) IS NOT NULL",
    )
    return {
        group_id: of_group(group_id, name, Limits.unpacked(GROUP_LIMITS, values))
        for group_id, name, *values in rows
    }
