"""`airoxy token rotate-key`: encrypt the tokens under a new key.

With systemd the key is a credential, which systemd decrypts for the services and root for its
commands, before they give up root's rights; without, it is a file beside the database.

Invariant: wherever a change of the key is interrupted, the key that is found opens the database.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airoxy.cli.command import Context
from airoxy.cli.installation import Installation
from airoxy.cli.system.credential import store_system_key
from airoxy.errors import AiroxyError, Conflict, StoreError

if TYPE_CHECKING:
    from airoxy.store.encryption import Encryption

T = TypeVar("T")

#: How long a refresh that has begun with the old key is waited for (seconds).
_LONGEST_REFRESH = 90.0


def run(context: Context, args: Namespace) -> None:
    from airoxy.cli.system.system import require_root

    installation = Installation(context)
    if installation.packaged:
        require_root("token rotate-key")
    place = rotate(installation)
    context.tell(args, {"rotated": True, "key": str(place)}, message(installation, place))


def message(installation: Installation, place: Path) -> str:
    """What there is to say of the new key, which is in this place."""
    where = "as systemd's credential" if installation.has_units else f"in {place}"
    return f"The tokens are encrypted with a new key, which is kept {where}."


def rotate(installation: Installation) -> Path:
    """Encrypt the tokens anew, put the new key in its place, and let the old one open nothing;
    where the new one is."""
    from airoxy.cli.system.system import SERVICE, systemctl
    from airoxy.store.key_file import KEY_FILE, write_key_file

    file = installation.database.with_name(KEY_FILE)
    try:
        installation.database.stat()
    except OSError as error:
        raise StoreError(f"{installation.database} cannot be read: {error.strerror}.") from error
    key = installation.as_owner(
        lambda: _with(installation.database, installation.key, _encrypted_anew)
    )
    if installation.has_units:
        store_system_key(key, installation.sealed_key)
        installation.as_owner(lambda: file.unlink(missing_ok=True))
        # The running service was given the old key when it was started.
        systemctl("try-restart", SERVICE)
    else:
        installation.as_owner(lambda: write_key_file(file, key))
    if not installation.as_owner(lambda: _with(installation.database, key, _finished)):
        raise AiroxyError(
            "The new key is in force, but a token is still being refreshed by a process that"
            " may have the old one: type the command again in a moment."
        )
    return installation.sealed_key if installation.has_units else file


def _with(path: Path, key: bytes | None, work: Callable[[Encryption], T]) -> T:
    from airoxy.store import encryption
    from airoxy.store.schema import open_database, run

    with closing(open_database(path, create=False, key=key)) as db:
        # Committed is on the disk: the key file must never be ahead of it.
        run(db, "PRAGMA synchronous = FULL")
        return work(encryption.attach(db, path, key))


def _encrypted_anew(encryption: Encryption) -> bytes:
    """The new key; that of a change which was broken off, if there is one. Raises Conflict in a
    fleet, whose other hosts would not have it."""
    from airoxy.store.fleet.membership import membership

    if membership(encryption.database) is not None:
        raise Conflict(
            "The hosts of a fleet have one key for their tokens, which is not changed while they"
            " are together: docs/fleet.md"
        )
    encryption.rotate()
    return encryption.key()


def _finished(encryption: Encryption) -> bool:
    deadline = time.monotonic() + _LONGEST_REFRESH
    while not encryption.finish():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
