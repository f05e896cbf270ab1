"""What has to be changed so that keys and groups are as a file says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.config import Mistake
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.table import GROUP_LIMITS, LIMITS, Limit
from airoxy.errors import ConfigError
from airoxy.jobs.declared.keys_file import Declared, KeysFile
from airoxy.store import groups, keys
from airoxy.store.limits import set_limits

_LIMITS: Mapping[str, Limit] = {limit.column: limit for limit in (*LIMITS, *GROUP_LIMITS)}

Values = Mapping[str, Any]


class KeyChange(NamedTuple):
    """`action` is add, change or remove, `kind` key or group; `id` is None before it is there.
    `before` and `after` are what differs, by column, as the database has it."""

    action: str
    kind: str
    name: str
    id: int | None
    before: dict[str, Any]
    after: dict[str, Any]
    entry: Declared | None


class Plan(NamedTuple):
    """What is to be done, in this order; `others` are there and not in the file."""

    changes: list[KeyChange]
    unchanged: int
    others: list[str]


def make_plan(db: apsw.Connection, file: KeysFile, *, prune: bool) -> Plan:
    """Raises ConfigError with every mistake in the file."""
    there = {
        "group": {each["name"]: each for each in groups.list_groups(db)},
        "key": {each["name"]: each for each in keys.list_keys(db)},
    }
    wanted = {"group": file.groups, "key": file.keys}
    _check_groups(file, there["group"], prune=prune)
    changes, unchanged, others = [], 0, []
    for kind in ("group", "key"):
        for name, entry in (wanted[kind] or {}).items():
            change = _compared(kind, entry, there[kind].get(name))
            changes += [change] if change else []
            unchanged += change is None
    for kind in ("key", "group"):
        for name, row in there[kind].items():
            if name in (wanted[kind] or {}) or (kind == "group" and row["id"] == EVERYBODY):
                continue
            if prune and wanted[kind] is not None:
                changes.append(
                    KeyChange("remove", kind, name, row["id"], _state(kind, row), {}, None)
                )
            else:
                others.append(f"{kind} {name}")
    return Plan(changes, unchanged, others)


def _check_groups(file: KeysFile, there: Values, *, prune: bool) -> None:
    gone = prune and file.groups is not None
    known = {*(file.groups or {}), *(() if gone else there)} - {"all"}
    for entry in (file.keys or {}).values():
        if entry.group is not None and entry.group not in known:
            text = f"there is no group {entry.group}; write it below groups:"
            file.document.complain(entry.group_line, f"keys.{entry.name}.group", text)
    for name in file.groups or {}:
        if name.lower() == "none" or (name.lower() == "all" and name != "all"):
            text = "no group can have this name; choose another"
            file.document.complain((file.groups or {})[name].line, f"groups.{name}", text)
    if file.document.mistakes:
        raise ConfigError("\n".join(map(str, sorted(file.document.mistakes, key=_line))))


def _line(mistake: Mistake) -> int:
    line = mistake.place.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _state(kind: str, row: Values) -> dict[str, Any]:
    """What can be declared of a key or group that is there, as far as it is no default."""
    columns = [*_LIMITS, "note", *(("pool", "group_name") if kind == "key" else ())]
    found = {column: _packed(column, row.get(column)) for column in columns}
    return {column: value for column, value in found.items() if value is not None}


def _packed(column: str, value: Any) -> Any:
    """A value as the database has it."""
    limit = _LIMITS.get(column)
    return value if limit is None or value is None else limit.unit.pack(value)


def _compared(kind: str, entry: Declared, row: Values | None) -> KeyChange | None:
    """None where there is nothing to change."""
    packed = {column: _packed(column, value) for column, value in entry.values.items()}
    if kind == "key":
        packed["group_name"] = entry.group
    before = {} if row is None else _state(kind, row)
    if entry.enabled is not None:
        packed["is_active"] = entry.enabled
        before["is_active"] = True if row is None else row["is_active"]
    differs = [column for column in packed if packed[column] != before.get(column)]
    if row is not None and not differs:
        return None
    old, new = ({column: side.get(column) for column in differs} for side in (before, packed))
    if row is None:
        return KeyChange("add", kind, entry.name, None, old, new, entry)
    return KeyChange("change", kind, entry.name, row["id"], old, new, entry)


def carry_out(
    db: apsw.Connection, plan: Plan, now: float, make_key: Callable[[], str]
) -> dict[str, str]:
    """Make the changes, in the caller's transaction; the new keys, by name."""
    made: dict[str, str] = {}
    for change in plan.changes:
        if change.kind == "group":
            _change_group(db, change, now)
        elif change.action == "remove":
            assert change.id
            keys.remove_key(db, change.id, now)
        else:
            key_id = change.id
            if key_id is None:
                made[change.name] = make_key()
                key_id = keys.add_key(db, change.name, made[change.name], now)
            _set_key(db, key_id, change)
    return made


def _change_group(db: apsw.Connection, change: KeyChange, now: float) -> None:
    if change.action == "add":
        groups.add_group(db, change.name, now, dict(_values(change)))
        return
    assert change.id
    if change.action == "change":
        groups.set_group(db, change.id, dict(_values(change)))
    else:
        groups.remove_group(db, change.id, now)


def _set_key(db: apsw.Connection, key_id: int, change: KeyChange) -> None:
    values = dict(_values(change))
    if "group_name" in change.after:
        name = change.after["group_name"]
        rows = groups.list_groups(db)
        values["group_id"] = next((row["id"] for row in rows if row["name"] == name), None)
    if values:
        set_limits(db, key_id, values)
    if "is_active" in change.after:
        keys.set_active(db, key_id, change.after["is_active"])


def _values(change: KeyChange) -> Iterator[tuple[str, Any]]:
    """The fields to set, by column."""
    assert change.entry
    for column in change.after:
        if column in change.entry.values:
            yield column, change.entry.values[column]


def document(plan: Plan, *, dry_run: bool, keys: Mapping[str, str]) -> dict[str, Any]:
    """What programs are told of it, with the new `keys` themselves."""
    told = ("action", "kind", "name", "before", "after")
    return {
        "changed": bool(plan.changes),
        "dry_run": dry_run,
        "changes": [{name: getattr(change, name) for name in told} for change in plan.changes],
        "others": plan.others,
        "keys": dict(keys),
    }
