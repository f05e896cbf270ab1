"""The rows that all hosts of a fleet share: which they are, what was changed here, and what others
have changed.

Invariant: a row is merged by its fields. What was changed here and has not been given to the fleet
yet stays; everything else becomes what the fleet says.
"""

# ruff: noqa: S608  (the SQL is put together from this file's and the tables' own words)
from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.store.limits import sum_spending
from airoxy.store.schema import run, transaction

#: The tables, those first to which others refer; and what of them is each host's own.
SHARED: Mapping[str, frozenset[str]] = {
    "groups": frozenset(),
    "api_keys": frozenset(),
    "tokens": frozenset(
        {"last_used_at", "refreshing_until", "refreshing_by", "retry_refresh_at", "refresh_pauses"}
    ),
    "resources": frozenset(),
    "cooldowns": frozenset(),
}
#: What only commands add to or take from; the server changes some of their fields.
COMMANDED = ("groups", "api_keys", "tokens")
#: Of two rows of these tables the one with the higher number holds, as a whole.
LATEST = {"cooldowns": "set_at"}

Fields = dict[str, Any]


class Changed(NamedTuple):
    """A row that was changed here: `row` as it is (None: deleted), `base` as the fleet had it."""

    number: int
    kind: str
    key: str
    row: Fields | None
    base: Fields | None

    @property
    def fields(self) -> Fields | None:
        """What was changed of it."""
        if self.row is None or self.base is None or self.kind in LATEST:
            return self.row
        base = self.base
        return {k: v for k, v in self.row.items() if k not in base or base[k] != v}


class Arrived(NamedTuple):
    """A row as the fleet has it."""

    kind: str
    key: str
    version: int
    row: Fields | None


class _Table(NamedTuple):
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    blobs: frozenset[str]


def _table(db: apsw.Connection, kind: str) -> _Table:
    found = run(db, "SELECT name, type, pk FROM pragma_table_info(?)", (kind,))
    own = SHARED[kind]
    return _Table(
        tuple(name for name, _, _ in found if name not in own),
        tuple(name for name, _, pk in sorted(found, key=lambda each: each[2]) if pk),
        frozenset(name for name, type_, _ in found if type_ == "BLOB"),
    )


def watch(db: apsw.Connection) -> None:
    """Have triggers note each change of a shared row. They are made anew, for the columns that
    there are now."""
    with transaction(db):
        unwatch(db)
        for kind in SHARED:
            run(db, _triggers(kind, _table(db, kind)))


def unwatch(db: apsw.Connection) -> None:
    """Take these triggers away."""
    for kind in SHARED:
        for event in ("insert", "update", "delete"):
            run(db, f"DROP TRIGGER IF EXISTS fleet_{kind}_{event}")


def _triggers(kind: str, table: _Table) -> str:
    def trigger(event: str, row: str, when: str) -> str:
        key = f"json_array({', '.join(f'{row}.{name}' for name in table.keys)})"
        # Not OR REPLACE: where the statement has a clause for conflicts, that holds in triggers.
        return (
            f"CREATE TRIGGER fleet_{kind}_{event} AFTER {when} ON {kind} BEGIN"
            f" DELETE FROM fleet_outbox WHERE kind = '{kind}' AND key = {key};"
            f" INSERT INTO fleet_outbox (kind, key) VALUES ('{kind}', {key}); END;"
        )

    return (
        trigger("insert", "NEW", "INSERT")
        + trigger("update", "NEW", f"UPDATE OF {', '.join(table.columns)}")
        + trigger("delete", "OLD", "DELETE")
    )


def offer_all(db: apsw.Connection) -> None:
    """In the caller's transaction: every shared row counts as changed here."""
    for kind in SHARED:
        key = f"json_array({', '.join(_table(db, kind).keys)})"
        run(
            db,
            f"INSERT OR IGNORE INTO fleet_outbox (kind, key) SELECT '{kind}', {key} FROM {kind}"
            f" WHERE NOT EXISTS (SELECT 1 FROM fleet_rows WHERE kind = '{kind}'"
            f" AND key = {key})",
        )


def offer_after(db: apsw.Connection, version: int) -> None:
    """In the caller's transaction: every shared row of a later version counts as changed here, and
    the fleet as one that knows nothing of it."""
    run(
        db,
        "INSERT OR IGNORE INTO fleet_outbox (kind, key) SELECT kind, key FROM fleet_rows"
        " WHERE version > ? ORDER BY version",
        (version,),
    )
    run(db, "DELETE FROM fleet_rows WHERE version > ?", (version,))


def changed(
    db: apsw.Connection, limit: int, kinds: Collection[str] = tuple(SHARED)
) -> list[Changed]:
    """The next rows that were changed here, in the order of their changes."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    tables = {kind: _table(db, kind) for kind in kinds}
    rows = run(
        db,
        "SELECT o.id, o.kind, o.key, r.row FROM fleet_outbox AS o"
        " LEFT JOIN fleet_rows AS r ON (r.kind, r.key) = (o.kind, o.key)"
        f" WHERE o.kind IN ({listed}) ORDER BY o.id LIMIT ?",
        (limit,),
    )
    return [
        Changed(
            number,
            kind,
            key,
            _read(db, kind, tables[kind], key),
            json.loads(base) if base else None,
        )
        for number, kind, key, base in rows
    ]


def settle(db: apsw.Connection, given: Changed, version: int, row: Fields | None) -> None:
    """In the caller's transaction: the fleet has this change, and `row` is what it made of it."""
    _know(db, given.kind, given.key, version, row)
    run(db, "DELETE FROM fleet_outbox WHERE id = ?", (given.number,))


def take(db: apsw.Connection, rows: Collection[Arrived]) -> None:
    """In the caller's transaction: make these rows what the fleet says."""
    tables = {kind: _table(db, kind) for kind in SHARED}
    for each in rows:
        if each.kind in tables:  # a newer airoxy may share more
            _take(db, tables[each.kind], each)


def _take(db: apsw.Connection, table: _Table, arrived: Arrived) -> None:
    kind, key, version, row = arrived
    ((waits, base),) = run(
        db,
        "SELECT EXISTS (SELECT 1 FROM fleet_outbox WHERE kind = ?1 AND key = ?2),"
        " (SELECT row FROM fleet_rows WHERE kind = ?1 AND key = ?2)",
        (kind, key),
    )
    mine = _read(db, kind, table, key)
    _know(db, kind, key, version, row)
    wanted = row
    if waits and mine is not None:
        wanted = _merged(kind, mine, json.loads(base) if base else {}, row)
    if wanted is None:
        if mine is not None:
            where = " AND ".join(f"{name} = ?" for name in table.keys)
            run(db, f"DELETE FROM {kind} WHERE {where}", json.loads(key))
    elif mine != {k: v for k, v in wanted.items() if k in table.columns}:
        _write(db, kind, table, wanted, new=mine is None)
    else:
        return
    if kind in LATEST:
        _announce(db, kind, json.loads(key)[0])
    if kind == "groups":
        sum_spending(db, json.loads(key)[0] + GROUPS_FROM)
    elif kind == "api_keys" and wanted and wanted.get("spend_total_nanousd") is not None:
        sum_spending(db, json.loads(key)[0])
    if not waits:
        run(db, "DELETE FROM fleet_outbox WHERE kind = ? AND key = ?", (kind, key))


def _merged(kind: str, mine: Fields, base: Fields, theirs: Fields | None) -> Fields | None:
    if kind in LATEST and theirs is not None:
        return max(mine, theirs, key=lambda row: row[LATEST[kind]])
    kept = {k: v for k, v in mine.items() if k not in base or base[k] != v}
    return kept and {**(theirs or mine), **kept} if theirs or kept else None


def _write(db: apsw.Connection, kind: str, table: _Table, row: Fields, *, new: bool) -> None:
    names = [name for name in table.columns if name in row]
    values = [
        bytes.fromhex(row[name]) if name in table.blobs and row[name] is not None else row[name]
        for name in names
    ]
    if new:
        places = ", ".join("?" * len(names))
        run(db, f"INSERT INTO {kind} ({', '.join(names)}) VALUES ({places})", values)
        return
    # Not by a clause for conflicts, which would hold in the triggers as well.
    sets = ", ".join(f"{name} = ?" for name in names)
    where = " AND ".join(f"{name} = ?" for name in table.keys)
    run(db, f"UPDATE {kind} SET {sets} WHERE {where}", [*values, *(row[k] for k in table.keys)])


def _announce(db: apsw.Connection, kind: str, row: int) -> None:
    """Have the workers read it."""
    run(db, "INSERT OR REPLACE INTO changes (kind, changed) VALUES (?, ?)", (kind, row))
    run(db, "UPDATE meta SET generation = generation + 1")


def _read(db: apsw.Connection, kind: str, table: _Table, key: str) -> Fields | None:
    where = " AND ".join(f"{name} = ?" for name in table.keys)
    rows = run(db, f"SELECT {', '.join(table.columns)} FROM {kind} WHERE {where}", json.loads(key))
    if not rows:
        return None
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in zip(table.columns, rows[0], strict=True)
    }


def _know(db: apsw.Connection, kind: str, key: str, version: int, row: Fields | None) -> None:
    run(
        db,
        "INSERT OR REPLACE INTO fleet_rows (kind, key, version, row) VALUES (?, ?, ?, ?)",
        (kind, key, version, None if row is None else json.dumps(row)),
    )


def waiting(db: apsw.Connection) -> int:
    """How many changes the fleet has not been given."""
    return int(run(db, "SELECT count(*) FROM fleet_outbox")[0][0])


def all_rows(db: apsw.Connection, kind: str) -> Iterator[tuple[str, Fields]]:
    """Each shared row of a table, by its key."""
    table = _table(db, kind)
    key = f"json_array({', '.join(table.keys)})"
    for (text,) in run(db, f"SELECT {key} FROM {kind} ORDER BY {', '.join(table.keys)}"):
        row = _read(db, kind, table, text)
        if row is not None:
            yield text, row
