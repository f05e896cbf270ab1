"""Keys, tokens and groups found by what an operator types: an id or a name."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import difflib

import apsw

from airoxy.core.names import printable, without_secrets
from airoxy.errors import NotFound
from airoxy.store.schema import run

#: The commands that list what is in a table, and what it is called.
_LISTS = {
    "api_keys": ("key", "api-key list"),
    "tokens": ("token", "token list"),
    "groups": ("group", "group list"),
}
#: SQLite's integers end at 19 digits.
_LONGEST_ID = 18


def find_id(db: apsw.Connection, table: str, text: str, *, removed: bool = False) -> int:
    """The id of the row in "api_keys", "tokens" or "groups" that has this id or, else, this name.
    With `removed`, those that are there as names of their history count too, after all others.
    Raises NotFound."""
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
    noun, command = _LISTS[table]
    names = [name for (name,) in run(db, f"SELECT name FROM {table} WHERE removed_at IS NULL")]
    near = difflib.get_close_matches(text, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"`airoxy {command}` shows them."
    shown = without_secrets(printable(text))
    return NotFound(f"There is no {noun} {shown}; {hint}")
