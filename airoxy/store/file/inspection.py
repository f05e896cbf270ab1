"""A database looked at as it is: without migrating it, and with the files beside it left alone."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import apsw

from airoxy.store import encryption
from airoxy.store.file.access import explain
from airoxy.store.schema import BUSY_TIMEOUT_MS, run


def open_as_it_is(path: Path, key: bytes | None = None) -> apsw.Connection:
    """Without migrating it, and leaving the files beside it as they are: a writer would throw an
    unsound -wal away, a reader would leave behind the one that it has to make."""
    has_wal = path.with_name(f"{path.name}-wal").exists()
    flags = apsw.SQLITE_OPEN_READONLY if has_wal else apsw.SQLITE_OPEN_READWRITE
    db = apsw.Connection(os.fspath(path), flags)
    db.setbusytimeout(BUSY_TIMEOUT_MS)
    encryption.attach(db, path, key)
    return db


def damage(path: Path, *, quick: bool = False) -> str | None:
    """What is wrong with the file's contents; `quick` looks no further than the beginning. Raises
    StoreError where it cannot be looked at."""
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with closing(open_as_it_is(path)) as db:
            rows = run(db, "PRAGMA schema_version" if quick else "PRAGMA quick_check(1)")
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return str(error).rpartition(": ")[2]
    except apsw.Error as error:
        raise explain(path, error) from error
    lines = [str(rows[0][0])] if not quick else ["ok"]
    return None if lines == ["ok"] else lines[0].splitlines()[-1]


def unfitness(backup: Path) -> str | None:
    """Why a backup should not take the database's place."""
    if harm := damage(backup):
        return f"it is damaged, too ({harm})"
    try:
        with closing(open_as_it_is(backup)) as db:
            rows = run(db, "SELECT (SELECT count(*) FROM api_keys) + count(*) FROM tokens")
    except apsw.SQLError:
        return "it is none of airoxy's"
    return None if rows[0][0] else "it has neither keys nor tokens"


def identity(path: Path) -> tuple[int, int]:
    """Which program's database it is, and of which version."""
    with closing(open_as_it_is(path)) as db:
        return run(db, "PRAGMA application_id")[0][0], run(db, "PRAGMA user_version")[0][0]
