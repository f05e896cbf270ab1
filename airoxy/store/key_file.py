"""The file that holds the key to the tokens where systemd does not: 64 hexadecimal digits.

The law: it is whole and on the disk before it has its name, readable for its owner alone, and one
that is there is never overwritten but by a change of the key.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from airoxy.errors import StoreError

#: Beside the database, and not named like it: `cp airoxy.db*` shall not take it along.
KEY_FILE = "token.key"
#: Bytes.
KEY_SIZE = 32


def parse_key(text: str) -> bytes | None:
    """The key that is written as 64 hexadecimal digits."""
    with suppress(ValueError):
        key = bytes.fromhex(text.strip())
        return key if len(key) == KEY_SIZE else None
    return None


def make_key_file(path: Path) -> bytes:
    """The key in `path`, made now unless somebody else was quicker."""
    with suppress(FileExistsError):
        write_key_file(path, secrets.token_bytes(KEY_SIZE), replace=False)
    key = next(read_key(path), None)
    if key is None:
        raise StoreError(f"{path} is no key (64 hexadecimal digits) that can be read.")
    return key


def write_key_file(path: Path, key: bytes, *, replace: bool = True) -> None:
    """Raises FileExistsError unless it may `replace` one, and StoreError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as opened:
            opened.write(key.hex() + "\n")
        if not replace:
            _sync(unfinished)
            path.hardlink_to(unfinished)
        put_in_place(unfinished, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def put_in_place(unfinished: Path, path: Path) -> None:
    """Whole and on the disk before it has its name, and with it when this returns."""
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_key(path: Path) -> Iterator[bytes]:
    """The key in `path`, if there is one."""
    with suppress(OSError, UnicodeDecodeError):
        key = parse_key(path.read_text("ascii"))
        if key:
            yield key
