"""Copies of the database: those from before its migrations (`airoxy.db.before-N`, N being what it
became, of which the last two are kept), and those that an operator asks for.

Invariant: a copy is of one moment, and has its name only when it is complete.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import apsw

from airoxy import files
from airoxy.errors import Conflict, InvalidInput, StoreError

KEPT = 2
#: Pages copied in one step (SQLite copies no more often than it is asked to).
_STEP = 1000


def back_up(path: Path, version: int) -> Path:
    """Copy the database at `path`, which is about to be brought to `version`.

    Call it with the write lock held by another connection: then it is what will be migrated.
    Raises apsw.Error, and leaves nothing where it cannot be completed.
    """
    target = path.with_name(f"{path.name}.before-{version}")
    with (
        files.written(target) as unfinished,
        closing(apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READONLY)) as source,
    ):
        _copy(source, unfinished)
    for old in _backups(path)[:-KEPT]:
        old.unlink(missing_ok=True)
    return target


def newest_backup(path: Path) -> Path | None:
    """The last copy beside the database at `path`, if there is one."""
    found = _backups(path)
    return found[-1] if found else None


def open_source(path: Path) -> apsw.Connection:
    """The database at `path`, to be copied as it is at this moment.

    It takes no lock that a writer waits for. What is written from now on is not in the copy, so
    SQLite does not begin anew with each commit, which on a busy server would never end.
    Raises apsw.Error.
    """
    source = apsw.Connection(os.fspath(path), apsw.SQLITE_OPEN_READONLY)
    try:
        source.setbusytimeout(5000)
        source.cursor().execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        source.close()
        raise
    return source


def write_copy(source: apsw.Connection, target: Path, *, replace: bool) -> int:
    """Copy what `open_source` opened to `target`, check the copy, and give it its name; its size.

    Raises Conflict, InvalidInput, StoreError, apsw.Error, and leaves nothing then.
    """
    check_target(Path(source.filename), target, replace=replace)
    try:
        with files.written(target, wait=True) as unfinished:
            _copy(source, unfinished, check=True)
            check_target(Path(source.filename), target, replace=replace)
    except FileExistsError as error:
        raise Conflict(
            f"{error.filename} is there: another backup is being made, or was killed; remove it"
            " then."
        ) from None
    except OSError as error:
        raise StoreError(f"{target} cannot be made: {error.strerror}.") from error
    return target.stat().st_size


def check_target(path: Path, target: Path, *, replace: bool) -> None:
    """Whether a copy of the database at `path` may be called `target`. Raises what is wrong."""
    try:
        there = target.exists()
    except PermissionError:
        raise StoreError(f"{target} may not be looked at; use sudo.") from None
    if there:
        if not target.is_file():
            raise InvalidInput(f"{target} is not a file; give the name of one.")
        if target.samefile(path):
            raise InvalidInput(f"{target} is the database itself; give another name.")
        if not replace:
            raise Conflict(f"{target} is there already; give another name, or --force.")
    elif not target.parent.is_dir():
        raise InvalidInput(f"{target.parent} is not a directory; make it first.")


def _copy(source: apsw.Connection, target: Path, *, check: bool = False) -> None:
    with closing(apsw.Connection(os.fspath(target), apsw.SQLITE_OPEN_READWRITE)) as copy:
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(_STEP)
        # One file that needs no other beside it.
        copy.cursor().execute("PRAGMA journal_mode = DELETE").fetchall()
        if check:
            ((found,),) = copy.cursor().execute("PRAGMA integrity_check(1)").fetchall()
            if found != "ok":
                raise StoreError(
                    f"The database is damaged ({found}), so no copy was kept; ask `airoxy doctor`."
                )


def _backups(path: Path) -> list[Path]:
    """Oldest first."""
    found = {}
    for candidate in path.parent.glob(f"{path.name}.before-*"):
        number = candidate.name.rpartition("-")[2]
        if number.isdecimal():
            found[int(number)] = candidate
    return [found[number] for number in sorted(found)]
