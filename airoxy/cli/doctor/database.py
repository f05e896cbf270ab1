"""Checks of the database: sound, and of the version that this airoxy works with.

Invariant: a damaged database is never replaced by an empty one, and never thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from airoxy.cli.doctor.finding import FAIL, OK, Finding
from airoxy.cli.installation import Installation
from airoxy.cli.system.listeners import holders
from airoxy.cli.system.replacement import dated, restore


def soundness(installation: Installation) -> Iterator[Finding]:
    """SQLite finds nothing wrong with it."""
    from airoxy.store.file.backup import newest_backup
    from airoxy.store.file.inspection import damage, unfitness

    path = installation.database
    if not path.parent.is_dir() or (path.exists() and not usable(installation)):
        return  # "directory" and "database file" have said so
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
    advice = f"{backup} is no help: {unfit}. " if unfit else ""
    if path.exists():
        advice += f"What can still be read, `sqlite3 {path} .recover` tells. "
    return f"{advice}Stop airoxy and put a backup of yours in its place; nothing here replaces it."


def migrations(installation: Installation) -> Iterator[Finding]:
    """It has the shape that this airoxy works with."""
    from airoxy.store.file import inspection
    from airoxy.store.migrations import MIGRATIONS
    from airoxy.store.schema import APPLICATION_ID, open_database

    path, known = installation.database, len(MIGRATIONS)
    if installation.as_owner(lambda: inspection.damage(path, quick=True)):
        return
    application, version = installation.as_owner(lambda: inspection.identity(path))
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
    """Whether it is there and its owner may use it; otherwise another check says so."""
    path = installation.database
    return path.exists() and installation.may(path, "rw") and installation.may(path.parent, "wx")
