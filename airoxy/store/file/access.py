"""Access to the database's file: how it is made, who may use it, and what to do if that fails."""

from __future__ import annotations

import errno
import grp
import os
import stat
from pathlib import Path

import apsw

from airoxy.errors import StoreError
from airoxy.store.file.backup import newest_backup

#: Whose members may look at the package's database.
GROUP = "airoxy"


def make_file(path: Path) -> None:
    """An empty file that only its owner and the package's group may read. One that exists is not
    even opened: closing it would take away the locks that this process has on it."""
    try:
        if not path.exists():
            _refuse_leftovers(path)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(file, "wb"):
                os.fchmod(file, mode_of(path))
    except FileExistsError:
        pass  # somebody else made it just now
    except PermissionError:
        raise StoreError(f"{path} may not be read or made; use sudo.") from None
    except FileNotFoundError:
        raise forbidden(path) from None
    except OSError as error:
        if error.errno == errno.EROFS:
            raise _read_only(path.parent) from None
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from None


def _refuse_leftovers(path: Path) -> None:
    """SQLite would take the log of a database that is gone for that of the new one."""
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise StoreError(
            f"{path} is gone, but {wal.name} is still there: put the database back, or move"
            f" {wal.name} and {path.name}-shm away as well."
        )


def mode_of(path: Path) -> int:
    """The mode of a database: in the package's directory its group may look at it."""
    try:
        found = path.parent.stat()
        is_ours = grp.getgrgid(found.st_gid).gr_name == GROUP and found.st_mode & stat.S_IRGRP
    except (KeyError, OSError):
        return 0o600
    return 0o640 if is_ours else 0o600


def explain(path: Path, error: apsw.Error) -> StoreError:
    """What an administrator can do about `error`."""
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        backup = newest_backup(path)
        copy = f" {backup} is a copy from before an upgrade." if backup else ""
        return StoreError(
            f"{path} is damaged ({_message(error)}). Leave it where it is, stop the service and "
            f"ask `airoxy doctor`, or put a backup in its place.{copy}"
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreError(f"{path} is locked by another program; try again in a moment.")
    if isinstance(error, apsw.FullError):
        return StoreError(f"The disk of {path} is full; make room on it.")
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return forbidden(path)
    return StoreError(f"{path} cannot be used: {_message(error)}.")


def _message(error: apsw.Error) -> str:
    return str(error).removeprefix(f"{type(error).__name__}: ")


def forbidden(path: Path) -> StoreError:
    """Why SQLite could not open `path` or write to it."""
    try:
        path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return StoreError(f"There is no database {path} yet; `airoxy serve` makes it.")
        return StoreError(f"{path.parent} does not exist; create it, or set `database`.")
    except OSError:
        return StoreError(f"{path} may not be read; use sudo.")
    if path.is_dir():
        return StoreError(f"{path} is a directory; set `database` to a file's path.")
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return _read_only(path.parent)
    if not writable(path) or not writable(path.parent):
        return StoreError(f"{path} may not be written; use sudo.")
    return StoreError(f"{path} cannot be opened or written; is its disk read-only or full?")


def _read_only(directory: Path) -> StoreError:
    return StoreError(
        f"{directory} is read-only. Where it is so for the service only: with systemd that writes"
        " below /var/lib/airoxy and nowhere else; `sudo airoxy doctor` names the units to edit"
        f" (ReadWritePaths={directory})."
    )


def writable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=True)
