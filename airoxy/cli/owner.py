"""Become the owner of the database before it is opened.

The law: a command leaves nothing in the database's directory that the service cannot use. Root
becomes the directory's owner; who may not write there is told to use sudo.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from airoxy.errors import StoreError


def become_owner(database: Path) -> None:
    """Drop root for the owner of `database`'s directory, for good. Raises StoreError."""
    directory = database.parent
    try:
        owner = directory.stat()
    except FileNotFoundError:
        raise StoreError(
            f"{directory} does not exist; create it, or set `database` in the configuration."
        ) from None
    except PermissionError:
        raise StoreError(f"{directory} may not be read; use sudo.") from None
    if os.geteuid() == 0:
        if owner.st_uid != 0:
            _drop_to(owner.st_uid, owner.st_gid)
    elif not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"{directory} belongs to {_name(owner.st_uid)}; use sudo.")


def _drop_to(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.umask(0o077)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
