"""A copy of the database from before an upgrade, put in the place of a damaged one.

Invariant: the damaged one is kept with its log, the copy is checked before it is used, and at no
moment is the database's place empty, for a new and empty one to appear there.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airoxy import files
from airoxy.cli.installation import Installation
from airoxy.cli.system.listeners import holders
from airoxy.cli.system.system import SERVICE, SOCKET, TIMERS, show, systemctl
from airoxy.errors import AiroxyError


def dated(path: Path) -> str:
    """The file's name, and when it was written."""
    made = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return f"{path.name} of {made:%Y-%m-%d %H:%M}"


def restore(installation: Installation, backup: Path) -> str:
    """Says what was done. Raises AiroxyError where it cannot be."""
    path = installation.database
    now = datetime.datetime.fromtimestamp(installation.context.now(), datetime.UTC)
    kept = path.with_name(f"{path.name}.damaged-{now:%Y%m%d-%H%M%S}")
    with _stopped(installation):
        if users := holders(str(path)):
            raise AiroxyError(f"{users[0]} has it open; stop that first.")
        installation.as_owner(lambda: _swap(path, backup, kept))
    return (
        f"{dated(backup)} is in the place of the database. What happened after that is in"
        f" {kept} alone, as far as it can be read."
    )


@contextmanager
def _stopped(installation: Installation) -> Iterator[None]:
    """Nothing of airoxy runs meanwhile; the socket is stopped too, because it would start it."""
    if not installation.has_units:
        yield
        return
    units = show([SOCKET, SERVICE, *TIMERS.values()], ["ActiveState"])
    active = [each["Id"] for each in units if each["ActiveState"] not in ("inactive", "failed")]
    if active:
        systemctl("stop", *active)
    try:
        yield
    finally:
        if again := [unit for unit in active if unit in (SOCKET, SERVICE)]:
            systemctl("start", *again)


def _swap(path: Path, backup: Path, kept: Path) -> None:
    """Put a copy of the backup in the database's place."""
    from airoxy.store.inspection import unfitness

    with files.written(path, beside=f"{path.name}.restored") as copy:
        shutil.copyfile(backup, copy)
        if reason := unfitness(copy):
            raise AiroxyError(f"{backup} is no help: {reason}.")
        for suffix in ("-wal", "-shm", "-journal"):
            # The old log would be taken for the new file's.
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(kept.with_name(kept.name + suffix))
        if path.exists():
            kept.hardlink_to(path)
