"""Keys and groups as a file for `airoxy apply`, as values and as YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apsw

from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.table import LIMITS
from airoxy.jobs.declared.keys_file import GROUP_FIELDS, KEY_FIELDS, Field
from airoxy.jobs.declared.yaml_text import quoted_yaml
from airoxy.store import groups, keys

_LIMITS = {limit.column: limit for limit in LIMITS}

_Section = dict[str, dict[str, Any]]


def declared(db: apsw.Connection) -> dict[str, _Section]:
    """What a file says of all that is there; no secret is in it."""
    return {
        "groups": declared_groups(groups.list_groups(db)),
        "keys": declared_keys(keys.list_keys(db)),
    }


def declared_groups(rows: list[dict[str, Any]]) -> _Section:
    """What a file says of these groups; that of all keys only where there is something to say."""
    found = {row["name"]: _fields(GROUP_FIELDS, row) for row in rows}
    built_in = {row["name"] for row in rows if row["id"] == EVERYBODY}
    return {name: fields for name, fields in found.items() if fields or name not in built_in}


def declared_keys(rows: list[dict[str, Any]]) -> _Section:
    """What a file says of these keys."""
    return {row["name"]: _fields(KEY_FIELDS, row) for row in rows}


def _fields(known: Mapping[str, Field], row: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of the file; without those that are at their default."""
    found = {}
    for name, each in known.items():
        if name == "enabled":
            if not row["is_active"]:
                found[name] = False
            continue
        value = row["group_name"] if name == "group" else row[each.column]
        if value is not None and value != each.default:
            found[name] = _written(each.column, value)
    return found


def _written(column: str, value: Any) -> Any:
    limit = _LIMITS.get(column)
    return value if limit is None or isinstance(value, list) else limit.unit.write(value)


def yaml_lines(document: Mapping[str, _Section]) -> Iterator[str]:
    """The file, line by line."""
    yield "# Client keys and their groups, for `airoxy apply`. No secret is in this file."
    for section, entries in document.items():
        yield f"{section}:" if entries else f"{section}: {{}}"
        for name, fields in entries.items():
            yield from _lines(name, fields)


def _lines(name: str, fields: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {quoted_yaml(name)}:" if fields else f"  {quoted_yaml(name)}: {{}}"
    for field, value in fields.items():
        yield f"    {field}: {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return value if value.replace(".", "", 1).isdecimal() else quoted_yaml(value)
