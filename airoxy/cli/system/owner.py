"""Become the owner of the database, for good or for a moment.

Invariant: a command leaves nothing in the database's directory that the service cannot use: root
becomes the directory's owner, and others who may not write there are told to use sudo.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from airoxy.errors import StoreError


def become_owner(database: Path) -> None:
    """Give up root for the owner of `database`'s directory, for good. Raises StoreError."""
    uid, gid = _checked_owner(database.parent)
    if os.geteuid() == 0 and uid != 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)


def may_only_read(database: Path) -> bool:
    """Whether we are in the group that may look at `database`, and no more."""
    directory = database.parent
    return (
        os.geteuid() != 0
        and not os.access(directory, os.W_OK)
        and os.access(directory, os.X_OK)
        and os.access(database, os.R_OK)
    )


@contextmanager
def as_owner(database: Path) -> Iterator[None]:
    """The same until the block ends: what is made inside belongs to the service, and what is made
    outside to whoever runs the command. Raises StoreError."""
    with acting_as(*_checked_owner(database.parent)):
        yield


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Root has this user's rights until the block ends; other users keep their own."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    group, groups, umask = os.getegid(), os.getgroups(), os.umask(0o077)
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
        os.umask(umask)


def owner_of(path: Path) -> tuple[int, int]:
    """User and group. Raises OSError."""
    found = path.stat()
    return found.st_uid, found.st_gid


def _checked_owner(directory: Path) -> tuple[int, int]:
    """The owner of a directory in which we may write, or may become somebody who may."""
    try:
        owner = owner_of(directory)
    except FileNotFoundError:
        raise StoreError(
            f"{directory} does not exist; create it, or set `database` in the configuration."
        ) from None
    except PermissionError:
        raise StoreError(f"{directory} may not be read; use sudo.") from None
    if os.geteuid() != 0 and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"{directory} belongs to {user_name(owner[0])}; use sudo.")
    return owner


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def caller(environ: Mapping[str, str]) -> tuple[str, int]:
    """Name and user id of who runs the command; with sudo, of who called that."""
    uid = os.getuid()
    if uid == 0 and environ.get("SUDO_USER") and environ.get("SUDO_UID", "").isdecimal():
        return environ["SUDO_USER"], int(environ["SUDO_UID"])
    return user_name(uid), uid
