"""Merges the keys and tokens of a host that joins a fleet with those of the fleet.

Invariant: rows with the same secret, or with the same origin, become the fleet's row; all others of
the host stay, with another id or name if the fleet has it already.
"""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.store.fleet import shared
from airoxy.store.fleet.shared import COMMANDED, Fields
from airoxy.store.limits import sum_spending
from airoxy.store.schema import run

#: The columns by which other tables refer to these.
_REFERENCES = {"groups": "group_id", "api_keys": "api_key_id", "tokens": "token_id"}
#: The columns by which two rows are recognised as the same.
_SECRETS = {"api_keys": ("digest",), "tokens": ("token_digest", "refresh_digest")}


@dataclass
class Merge:
    """What becomes of one table: new ids by the old ones, new names by the old ids."""

    kind: str
    ids: dict[int, int] = field(default_factory=dict)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    same: int = 0
    own: int = 0

    def lines(self) -> Iterator[str]:
        """As an operator reads it."""
        what = {"api_keys": "client keys", "tokens": "tokens"}.get(self.kind, self.kind)
        if self.same or self.own:
            yield f"{self.same} {what} are the fleet's already, {self.own} join it."
        for old, new in sorted(self.ids.items()):
            yield f"{what}: {old} becomes {new}."
        for old, (before, after) in sorted(self.names.items()):
            yield f"{what}: {before} ({old}) becomes {after}, since the fleet has one of that name."


def plan(db: apsw.Connection, theirs: Mapping[str, Mapping[int, Fields]], host: str) -> list[Merge]:
    """What joining a fleet with these rows (by kind and id) will change."""
    return [_plan(db, kind, theirs.get(kind, {}), host) for kind in COMMANDED]


def _plan(db: apsw.Connection, kind: str, theirs: Mapping[int, Fields], host: str) -> Merge:
    merge = Merge(kind)
    mine = {row["id"]: row for _, row in shared.all_rows(db, kind)}
    free = max([0, *mine, *theirs]) + 1
    taken = {row["name"] for row in theirs.values() if row.get("removed_at") is None}
    used = set(theirs)
    for number, row in mine.items():
        found = _same(kind, row, theirs)
        if found is None:
            merge.own += 1
            if number in used:
                found, free = free, free + 1
            if row["name"] in taken and row.get("removed_at") is None:
                merge.names[number] = (row["name"], f"{row['name']}@{host}")
        else:
            merge.same += 1
        if found is not None and found != number:
            merge.ids[number] = found
    return merge


def _same(kind: str, row: Fields, theirs: Mapping[int, Fields]) -> int | None:
    secrets = [row.get(name) for name in _SECRETS.get(kind, ())]
    for number, other in theirs.items():
        if any(
            s and s == other.get(n) for s, n in zip(secrets, _SECRETS.get(kind, ()), strict=True)
        ):
            return number
    for number, other in theirs.items():
        if kind not in _SECRETS and row["name"] == other["name"]:
            return number
        # One that has another secret by now. Two hosts can make keys of one name in one second.
        made = ("id", "name", "created_at")
        if [row[name] for name in made] == [other[name] for name in made]:
            return number
    return None


def carry_out(db: apsw.Connection, merges: list[Merge]) -> None:
    """In the caller's transaction. Nothing may be running that knows the old ids."""
    run(db, "PRAGMA defer_foreign_keys = ON")
    for merge in merges:
        for number, (_, name) in merge.names.items():
            run(db, f"UPDATE {merge.kind} SET name = ? WHERE id = ?", (name, number))
        for table, column in [(merge.kind, "id"), *_referring(db, _REFERENCES.get(merge.kind))]:
            _renumber(db, table, column, merge.ids)
    if any(merge.ids for merge in merges):
        _sum_anew(db)


def _sum_anew(db: apsw.Connection) -> None:
    """What spenders have cost is by their numbers."""
    run(db, "DELETE FROM spending; DELETE FROM spenders")
    for (number,) in run(
        db,
        f"SELECT id + {GROUPS_FROM} FROM groups UNION ALL"
        " SELECT id FROM api_keys WHERE spend_total_nanousd IS NOT NULL",
    ):
        sum_spending(db, number)


def _referring(db: apsw.Connection, column: str | None) -> list[tuple[str, str]]:
    return run(
        db,
        "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c"
        " WHERE m.type = 'table' AND c.name = ?",
        (column,),
    )


def _renumber(db: apsw.Connection, table: str, column: str, ids: Mapping[int, int]) -> None:
    """By way of negative numbers, since two may change places."""
    moves: list[tuple[Any, ...]] = [(-new, old) for old, new in ids.items()]
    moves += [(new, -new) for new in ids.values()]
    for after, before in moves:
        run(db, f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (after, before))
