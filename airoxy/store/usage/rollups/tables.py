"""The tables of the rollups and the triggers that keep them right, derived from those of `daily`.

Invariant: a rollup has exactly the daily sums before the horizon, which is a day and a client key
in it. Where such a sum changes, a trigger changes the rollups in the same transaction. A request of
today costs a comparison, in the trigger for limits (`store.usage.triggers`): a trigger more would
cost each row 0.3 to 0.6 µs.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from airoxy.core.billing.usage import PROMPT

#: In rows of `daily`, the first that is not rolled up.
HORIZON = """
CREATE TABLE rollup_horizon (
    day INTEGER NOT NULL,
    api_key_id INTEGER NOT NULL
) STRICT;
INSERT INTO rollup_horizon VALUES (0, 0);
"""
#: Whether a row of `daily` that changes is before it.
IS_ROLLED_UP = (
    "NEW.day <= (SELECT day FROM rollup_horizon)"
    " AND (NEW.day, NEW.api_key_id) < (SELECT day, api_key_id FROM rollup_horizon)"
)
#: What the prompt cache's effect is computed from.
PROMPTS = ("requests", *PROMPT)

_MONTH, _YEAR = (
    f"CAST(strftime('{form}', {{row}}day * 86400, 'unixepoch') AS INTEGER)"
    for form in ("%Y%m", "%Y")
)


class Rollup(NamedTuple):
    """Its `group` are columns of `daily`, but for `span`: a year (2026), or a month (202611).
    Without `sums` it has all of them."""

    table: str
    group: tuple[str, ...]
    sums: tuple[str, ...] = ()


BY_SPAN = Rollup("usage_by_span", ("span", "api_key_id", "token_id", "model", "group_id"))
BY_MODEL = Rollup("usage_by_model", ("day", "model", "group_id"))
BY_PROMPT = Rollup("usage_by_prompt", ("model", "day", "api_key_id", "group_id"), PROMPTS)
_ROLLUPS = (BY_SPAN, BY_MODEL, BY_PROMPT)
_GROUP = ("day", "api_key_id", "token_id", "model", "group_id")


def derive(db: apsw.Connection) -> str:
    """Make tables and triggers fit the columns of `daily`, in the caller's transaction. Tables with
    other columns are begun anew. Returns what the trigger has to do at an UPDATE of `daily` where
    it IS_ROLLED_UP, as SQL; nothing in a version without rollups."""
    cursor = db.cursor()
    daily = _columns(cursor, "daily")
    if not _columns(cursor, "rollup_horizon"):
        return ""  # a migration to a version from before
    sums = [name for name in daily if name not in _GROUP]
    if any(
        _columns(cursor, each.table) != [*each.group, *(each.sums or sums)] for each in _ROLLUPS
    ):
        for each in _ROLLUPS:
            cursor.execute(_table(each, each.sums or sums))
        cursor.execute("UPDATE rollup_horizon SET day = 0, api_key_id = 0")
    cursor.execute(_triggers(sums))
    return f"INSERT INTO rollup_changes SELECT {_change(sums, 'NEW.{0} - OLD.{0}')}"


def rolling(sums: Sequence[str]) -> list[str]:
    """The statements that roll up the rows of `daily` from (?1, ?2) to before (?3, ?4): a day and a
    client key each."""
    chosen = "FROM daily WHERE (day, api_key_id) >= (?1, ?2) AND (day, api_key_id) < (?3, ?4)"
    found = []
    for each in _ROLLUPS:
        names = each.sums or sums
        summed = ", ".join(f"sum({name})" for name in names)
        for group in _groups(each, ""):
            numbers = ", ".join(str(n + 1) for n in range(len(each.group)))
            found.append(
                f"INSERT INTO {each.table} SELECT {group}, {summed} {chosen} GROUP BY {numbers}"
                f" {_adding(names)}"
            )
    return found


def _columns(cursor: apsw.Cursor, table: str) -> list[str]:
    return [name for (name,) in cursor.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _table(each: Rollup, sums: Sequence[str]) -> str:
    texts = ("model",)
    columns = ", ".join(
        f"{name} {'TEXT' if name in texts else 'INTEGER'} NOT NULL" for name in (*each.group, *sums)
    )
    return (
        f"DROP TABLE IF EXISTS {each.table};"
        f"CREATE TABLE {each.table} ({columns}, PRIMARY KEY ({', '.join(each.group)}))"
        " STRICT, WITHOUT ROWID;"
    )


def _groups(each: Rollup, row: str) -> list[str]:
    """The values of its group for a row of `daily`, for each row that it has of it."""
    spans = (_MONTH, _YEAR) if "span" in each.group else ("",)
    return [
        ", ".join(span.format(row=row) if name == "span" else row + name for name in each.group)
        for span in spans
    ]


def _adding(sums: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    return f"ON CONFLICT DO UPDATE SET {changes}"


def _change(sums: Sequence[str], value: str) -> str:
    """The values of `rollup_changes`."""
    return ", ".join((*(f"NEW.{name}" for name in _GROUP), *map(value.format, sums)))


def _triggers(sums: Sequence[str]) -> str:
    """What is inserted into the view `rollup_changes` is added to all rollups."""
    columns = (*_GROUP, *sums)
    added = "".join(
        f"    INSERT INTO {each.table} VALUES ({group},"
        f" {', '.join(f'NEW.{name}' for name in each.sums or sums)})"
        f" {_adding(each.sums or sums)};\n"
        for each in _ROLLUPS
        for group in _groups(each, "NEW.")
    )
    # Sums are not deleted but by who makes them anew.
    emptied = "".join(f"    DELETE FROM {each.table};\n" for each in _ROLLUPS)
    return f"""
DROP VIEW IF EXISTS rollup_changes;
CREATE VIEW rollup_changes ({", ".join(columns)}) AS SELECT {", ".join(["NULL"] * len(columns))};
CREATE TRIGGER rollup_changed INSTEAD OF INSERT ON rollup_changes
BEGIN
{added}END;

DROP TRIGGER IF EXISTS daily_rolled_up_insert;
CREATE TRIGGER daily_rolled_up_insert AFTER INSERT ON daily WHEN {IS_ROLLED_UP}
BEGIN
    INSERT INTO rollup_changes VALUES ({_change(sums, "NEW.{0}")});
END;

DROP TRIGGER IF EXISTS daily_rolled_up_delete;
CREATE TRIGGER daily_rolled_up_delete AFTER DELETE ON daily
WHEN (SELECT day FROM rollup_horizon) > 0
BEGIN
    UPDATE rollup_horizon SET day = 0, api_key_id = 0;
{emptied}END;
"""
