"""Another database put in the place of the one in use: a copy from before an upgrade, or a backup.

Invariant: the old one is kept with its log, the new one is checked before it is used, and at no
moment is the database's place empty, for a new and empty one to appear there.
"""

from __future__ import annotations

import datetime
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
    """Put a copy from before an upgrade in the place of a damaged database. Raises AiroxyError."""
    kept = replace_database(installation, backup, "damaged", partial(_fit, backup))
    return (
        f"{dated(backup)} is in the place of the database. What happened after that is in"
        f" {kept} alone, as far as it can be read."
    )


def replace_database(
    installation: Installation, source: Path, old: str, prepare: Callable[[Path], None]
) -> Path:
    """Put a copy of `source` in the database's place, while nothing of airoxy runs; where the one
    that was there is kept, named after what it is (`old`).

    `prepare` is given the copy before it has its name, as the owner, and refuses it by an
    AiroxyError: then nothing has changed.
    """
    from airoxy.store.file.access import mode_of

    path = installation.database
    now = datetime.datetime.fromtimestamp(installation.context.now(), datetime.UTC)
    kept = _unused(path.with_name(f"{path.name}.{old}-{now:%Y%m%d-%H%M%S}"))
    try:
        opened = source.open("rb")  # before root's rights are given up: it may be root's alone
    except OSError as error:
        raise AiroxyError(f"{source} cannot be read: {error.strerror}.") from error
    with opened as content, _stopped(installation):
        if users := holders(str(path)):
            raise AiroxyError(f"{users[0]} has it open; stop that first.")

        def swap() -> None:
            with files.written(path, beside=f"{path.name}.restored") as copy:
                with copy.open("wb") as target:
                    shutil.copyfileobj(content, target)
                prepare(copy)
                copy.chmod(mode_of(path))
                _keep(path, kept)

        installation.as_owner(swap)
    return kept


def _unused(path: Path) -> Path:
    """That, or with a number behind it: there may be two in one second."""
    names = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], names) if not each.exists())


def _fit(backup: Path, copy: Path) -> None:
    from airoxy.store.file.inspection import unfitness

    if reason := unfitness(copy):
        raise AiroxyError(f"{backup} is no help: {reason}.")


def _keep(path: Path, kept: Path) -> None:
    """Move what is beside the database away: its log would be taken for the new file's."""
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix)).chmod(0o600)
    if path.exists():
        kept.hardlink_to(path)
        kept.chmod(0o600)  # the group looks at the database, and at no copy


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
