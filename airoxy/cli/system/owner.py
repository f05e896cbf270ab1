"""Become the owner of the database before it is opened.

The law: a command leaves nothing in the database's directory that the service cannot use. Root
becomes the directory's owner; who may not write there is told to use sudo.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airoxy.errors import StoreError


def become_owner(database: Path) -> None:
    """Drop root for the owner of `database`'s directory, for good. Raises StoreError."""
    owner = _owner(database.parent)
    if os.geteuid() == 0 and owner.st_uid != 0:
        drop_to(owner.st_uid, owner.st_gid)


@contextmanager
def as_owner(database: Path) -> Iterator[None]:
    """The same for as long as it lasts: what is made inside belongs to the service, and what is
    made outside to whoever runs the command. Raises StoreError."""
    owner = _owner(database.parent)
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _owner(directory: Path) -> os.stat_result:
    """Whose it is, of a directory that may be written by us or by who we can become."""
    try:
        owner = directory.stat()
    except FileNotFoundError:
        raise StoreError(
            f"{directory} does not exist; create it, or set `database` in the configuration."
        ) from None
    except PermissionError:
        raise StoreError(f"{directory} may not be read; use sudo.") from None
    if os.geteuid() != 0 and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"{directory} belongs to {user_name(owner.st_uid)}; use sudo.")
    return owner


def drop_to(uid: int, gid: int) -> None:
    """Become this user for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.umask(0o077)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
