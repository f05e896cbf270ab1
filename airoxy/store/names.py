"""The tables whose rows people call by an id or a name: what they have in common."""

# ruff: noqa: S608  (the SQL is put together from this file's and the tables' own words)
from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from airoxy.core.names import printable, without_secrets
from airoxy.errors import Conflict, NotFound
from airoxy.store.schema import run, transaction

#: What is in a table, and the command that lists it.
_LISTS = {
    "api_keys": ("key", "api-key list"),
    "tokens": ("token", "token list"),
    "groups": ("group", "group list"),
    "console_users": ("user", "console user list"),
    "console_api_tokens": ("API token", "console token list"),
}
#: SQLite's integers end at 19 digits.
_LONGEST_ID = 18


def find_id(db: apsw.Connection, table: str, text: str, *, removed: bool = False) -> int:
    """The id of the row that has this id or, else, this name. With `removed`, those that are there
    as names of their history count too, after all others. Raises NotFound."""
    there = "TRUE" if removed else "removed_at IS NULL"
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID:
        if run(db, f"SELECT 1 FROM {table} WHERE id = ? AND {there}", (int(text),)):
            return int(text)
    found = run(
        db,
        f"SELECT id FROM {table} WHERE name = ? AND {there}"
        " ORDER BY removed_at IS NULL DESC, id DESC LIMIT 1",
        (text,),
    )
    if found:
        return int(found[0][0])
    raise _not_found(db, table, text)


def _not_found(db: apsw.Connection, table: str, text: str) -> NotFound:
    names = [name for (name,) in run(db, f"SELECT name FROM {table} WHERE removed_at IS NULL")]
    near = difflib.get_close_matches(text, names, 1)
    shown = without_secrets(printable(text))
    return none_such(table, shown, f"did you mean {near[0]}?" if near else None)


def none_such(table: str, shown: object, hint: str | None = None) -> NotFound:
    """What to raise where there is none with this id or name."""
    noun, command = _LISTS[table]
    return NotFound(f"There is no {noun} {shown}; {hint or f'`airoxy {command}` shows them.'}")


def all_names(db: apsw.Connection, table: str) -> dict[int, str]:
    """Of all that are or were there, by id; a name that became free may be there twice."""
    return dict(run(db, f"SELECT id, name FROM {table}"))


def is_free(db: apsw.Connection, table: str, name: str, but: int = 0) -> bool:
    """Whether none has this name, or only the one with the id `but`."""
    sql = f"SELECT 1 FROM {table} WHERE name = ? AND id <> ? AND removed_at IS NULL"
    return not run(db, sql, (name, but))


def refuse_taken(db: apsw.Connection, table: str, name: str, but: int = 0) -> None:
    """Raises Conflict where another one has this name."""
    if not is_free(db, table, name, but):
        noun = _LISTS[table][0]
        article = "An" if noun[0] in "AEIOU" else "A"
        raise Conflict(
            f"{article} {noun} named {name!r} is there already; choose another name or remove it"
            " first."
        )


def listed(
    db: apsw.Connection, table: str, columns: Mapping[str, str], where: str = "TRUE"
) -> list[dict[str, Any]]:
    """Those not removed, oldest first: what `columns` says for each field, as SQL."""
    there = f"removed_at IS NULL AND {where}"
    sql = f"SELECT {', '.join(columns.values())} FROM {table} WHERE {there} ORDER BY id"
    return named(columns, run(db, sql))


def named(fields: Iterable[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Each row with the names of its values."""
    names = tuple(fields)
    return [dict(zip(names, row, strict=True)) for row in rows]


def change(
    db: apsw.Connection,
    table: str,
    number: int,
    assignments: str,
    values: Iterable[Any] = (),
    returning: str = "is_active",
) -> int:
    """Change the row with this id; whether it is active then. Raises NotFound."""
    with transaction(db):
        found = run(
            db,
            f"UPDATE {table} SET {assignments} WHERE id = ? AND removed_at IS NULL"
            f" RETURNING {returning}",
            (*values, number),
        )
    if not found:
        raise none_such(table, number)
    return int(found[0][0])


def set_columns(db: apsw.Connection, table: str, number: int, changes: Mapping[str, Any]) -> None:
    """Set these columns of the row with this id. Raises NotFound, and Conflict for the name of
    another one."""
    assignments = ", ".join(f"{name} = ?" for name in changes)
    with transaction(db):
        if "name" in changes and not is_free(db, table, changes["name"], number):
            raise Conflict(
                f"Another {_LISTS[table][0]} is named {changes['name']!r}; choose another name."
            )
        change(db, table, number, assignments, changes.values(), returning="1")
