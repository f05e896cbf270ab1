"""The file that holds the key to the tokens where systemd does not: 64 hexadecimal digits.

Invariant: it is readable for its owner alone, and only a change of the key overwrites it.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from airoxy import files
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
    name = f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    try:
        with files.written(path, beside=name, replace=replace) as unfinished:
            unfinished.write_text(key.hex() + "\n")
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


def read_key(path: Path) -> Iterator[bytes]:
    """The key in `path`, if there is one."""
    with suppress(OSError, UnicodeDecodeError):
        key = parse_key(path.read_text("ascii"))
        if key:
            yield key
