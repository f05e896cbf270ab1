"""Whether the database is sound, and of the version that this airoxy knows.

The law: a damaged database is never replaced by an empty one, and never thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airoxy.cli.doctor.finding import FAIL, OK, Finding, Installation
from airoxy.cli.doctor.restore import dated, restore
from airoxy.cli.system.listeners import holders

if TYPE_CHECKING:
    import apsw


def soundness(installation: Installation) -> Iterator[Finding]:
    """SQLite finds nothing wrong with it."""
    from airoxy.store.backup import newest_backup

    path = installation.database
    if not path.parent.is_dir() or (path.exists() and not usable(installation)):
        return  # which is said already
    backup = newest_backup(path)
    if path.exists():
        harm = installation.as_owner(lambda: damage(path))
        fault = f"is damaged ({harm})" if harm else None
    elif users := holders(f"{path} (deleted)"):
        fault = f"has been deleted, while {users[0]} has it open"
    elif backup:
        fault = "is gone"
    else:
        yield Finding(OK, f"There is no {path} yet; airoxy makes it when it starts.")
        return
    if fault is None:
        yield Finding(OK, f"{path} is sound.")
        return
    unfit = installation.as_owner(lambda: unfitness(backup)) if backup else None
    if backup and not unfit:
        remedy = f"--fix puts {dated(backup)} in its place, and keeps it."
        fix = partial(restore, installation, backup)
        yield Finding(FAIL, f"{path} {fault}.", remedy, fix)
    else:
        yield Finding(FAIL, f"{path} {fault}.", _way_out(path, backup, unfit))


def _way_out(path: Path, backup: Path | None, unfit: str | None) -> str:
    told = f"{backup} is no help: {unfit}. " if unfit else ""
    if path.exists():
        told += f"What can still be read, `sqlite3 {path} .recover` tells. "
    return f"{told}Stop airoxy and put a backup of yours in its place; nothing here replaces it."


def migrations(installation: Installation) -> Iterator[Finding]:
    """It has the shape that this airoxy works with."""
    from airoxy.store.migrations import MIGRATIONS
    from airoxy.store.schema import APPLICATION_ID, open_database

    path, known = installation.database, len(MIGRATIONS)
    if not path.exists() or not usable(installation):
        return
    if installation.as_owner(lambda: damage(path, quick=True)):
        return
    application, version = installation.as_owner(lambda: _identity(path))
    if version == known and application == APPLICATION_ID:
        yield Finding(OK, f"The database is of version {version}, as it must be.")
    elif application not in (0, APPLICATION_ID):
        remedy = "Set `database` to a path of airoxy's own."
        yield Finding(FAIL, f"{path} is another program's database.", remedy)
    elif version > known:
        text = f"The database is of version {version}, this airoxy knows {known}."
        yield Finding(FAIL, text, "Upgrade airoxy.")
    else:

        def fix() -> str:
            installation.as_owner(lambda: open_database(path, key=installation.key).close())
            return f"The database was of version {version} and is of {known} now."

        text = f"The database is of version {version}, this airoxy needs {known}."
        yield Finding(FAIL, text, "--fix or a restart migrates it.", fix)


def usable(installation: Installation) -> bool:
    """Whether its owner may use it; who may not is not told that it is damaged."""
    path = installation.database
    return installation.as_owner(
        lambda: os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
    )


def open_as_it_is(path: Path, key: bytes | None = None) -> apsw.Connection:
    """Without migrating it, and leaving the files beside it as they are: a writer would throw an
    unsound -wal away, a reader would leave behind the one that it has to make."""
    import apsw

    from airoxy.store import encryption
    from airoxy.store.schema import BUSY_TIMEOUT_MS

    has_wal = path.with_name(f"{path.name}-wal").exists()
    flags = apsw.SQLITE_OPEN_READONLY if has_wal else apsw.SQLITE_OPEN_READWRITE
    db = apsw.Connection(os.fspath(path), flags)
    db.setbusytimeout(BUSY_TIMEOUT_MS)
    encryption.attach(db, path, key)
    return db


def damage(path: Path, *, quick: bool = False) -> str | None:
    """What is wrong with the file's contents; `quick` looks no further than the beginning. Raises
    StoreError where it cannot be looked at."""
    import apsw

    from airoxy.store.schema import explain, run

    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with closing(open_as_it_is(path)) as db:
            told = run(db, "PRAGMA schema_version" if quick else "PRAGMA quick_check(1)")
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return str(error).rpartition(": ")[2]
    except apsw.Error as error:
        raise explain(path, error) from error
    lines = [str(told[0][0])] if not quick else ["ok"]
    return None if lines == ["ok"] else lines[0].splitlines()[-1]


def unfitness(backup: Path) -> str | None:
    """Why a backup should not take the database's place."""
    import apsw

    from airoxy.store.schema import run

    if harm := damage(backup):
        return f"it is damaged, too ({harm})"
    try:
        with closing(open_as_it_is(backup)) as db:
            told = run(db, "SELECT (SELECT count(*) FROM api_keys) + count(*) FROM tokens")
    except apsw.SQLError:
        return "it is none of airoxy's"
    return None if told[0][0] else "it has neither keys nor tokens"


def _identity(path: Path) -> tuple[int, int]:
    """Which program's database it is, and of which version."""
    from airoxy.store.schema import run

    with closing(open_as_it_is(path)) as db:
        return run(db, "PRAGMA application_id")[0][0], run(db, "PRAGMA user_version")[0][0]
