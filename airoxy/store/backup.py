"""Copies of the database from before its migrations: `airoxy.db.before-N`, N being what it became.

The law: a copy has its name only when it is complete, and the last two are kept.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

KEPT = 2
#: Pages copied in one step (SQLite copies no more often than it is asked to).
_STEP = 1000


def back_up(path: Path, version: int) -> Path:
    """Copy the database at `path`, which is about to be brought to `version`.

    Call it with the write lock held by another connection: then it is what will be migrated.
    Raises apsw.Error, and leaves nothing where it cannot be completed.
    """
    target = path.with_name(f"{path.name}.before-{version}")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        _copy(path, unfinished)
    except BaseException:
        unfinished.unlink()
        raise
    unfinished.replace(target)
    for old in _backups(path)[:-KEPT]:
        old.unlink(missing_ok=True)
    return target


def newest_backup(path: Path) -> Path | None:
    """The last copy beside the database at `path`, if there is one."""
    found = _backups(path)
    return found[-1] if found else None


def _copy(path: Path, target: Path) -> None:
    source = apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READONLY)
    copy = apsw.Connection(os.fspath(target), apsw.SQLITE_OPEN_READWRITE)
    try:
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(_STEP)
        # One file that needs no other beside it.
        copy.cursor().execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()
        source.close()


def _backups(path: Path) -> list[Path]:
    """Oldest first."""
    found = {}
    for candidate in path.parent.glob(f"{path.name}.before-*"):
        number = candidate.name.rpartition("-")[2]
        if number.isdecimal():
            found[int(number)] = candidate
    return [found[number] for number in sorted(found)]
