"""The nightly copy of the database, and the removal of those that are too old.

Invariant: an older copy is removed only when the new one is complete and checked.
"""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import apsw

from airoxy.config import Backups
from airoxy.errors import StoreError
from airoxy.store.file import backup
from airoxy.store.file.access import explain

#: The names of the copies that this job makes, and may remove.
NAME = "airoxy-????-??-??.db"


def back_up_nightly(database: Path, wanted: Backups, today: date) -> str | None:
    """Copy the database, and say what was done; None where that is not wanted. A second time on the
    same day replaces the first copy. Raises AiroxyError."""
    directory = wanted.directory
    if directory is None:
        return None
    if not directory.is_dir():
        raise StoreError(
            f"backup.directory: {directory} is not a directory that can be used; make it:"
            f" sudo install -d -o airoxy -g airoxy -m 700 {directory}"
        )
    target = directory / f"airoxy-{today}.db"
    # Left over from a run that was killed; there is never a second one.
    target.with_name(f"{target.name}.unfinished").unlink(missing_ok=True)
    try:
        with closing(backup.open_source(database)) as source:
            size = backup.write_copy(source, target, replace=True)
    except apsw.FullError as error:
        raise explain(target, error) from error
    except apsw.Error as error:
        raise explain(database, error) from error
    old = sorted(directory.glob(NAME))[: -wanted.keep]
    for copy in old:
        copy.unlink(missing_ok=True)
    removed = f", {len(old)} older removed" if old else ""
    return f"{target}: {size / 1e6:,.1f} MB, checked{removed}."
