"""The file to which `airoxy apply` adds the secrets of new keys, for nobody but its owner.

Invariant: a secret is in the file, on the disk, before the key exists.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from airoxy.errors import InvalidInput
from airoxy.jobs.declared.yaml_text import quoted_yaml


class SecretsFile:
    """It is opened at once, with the rights of who typed the command, and grows by lines of YAML:
    the keys' names, and the keys."""

    def __init__(self, path: Path) -> None:
        self._path, self._is_new = path, not os.path.lexists(path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise InvalidInput(f"--secrets-to {path}: {error.strerror}.") from None
        found = os.fstat(self._file)
        try:
            if not stat.S_ISREG(found.st_mode):
                raise InvalidInput(f"--secrets-to {path}: it is no file.")
            if found.st_uid != os.geteuid() or found.st_nlink > 1:
                raise InvalidInput(f"--secrets-to {path}: it is not yours alone; name another.")
            os.fchmod(self._file, 0o600)
        except BaseException:
            self.close()
            raise
        self._size = found.st_size

    def add(self, keys: Mapping[str, str]) -> None:
        """Raises InvalidInput."""
        lines = "".join(f"{quoted_yaml(name)}: {key}\n" for name, key in keys.items())
        begun = self._size and os.pread(self._file, 1, self._size - 1) != b"\n"
        data = (("\n" if begun else "") + lines).encode()
        try:
            written = os.write(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            self.undo()
            raise InvalidInput(f"--secrets-to {self._path}: {error.strerror}.") from None
        if written < len(data):
            self.undo()
            raise InvalidInput(f"--secrets-to {self._path}: the disk is full.")

    def undo(self) -> None:
        """The keys have not come to be."""
        os.ftruncate(self._file, self._size)

    def close(self) -> None:
        """An empty file that was not there before is not left behind."""
        if self._is_new and not os.fstat(self._file).st_size:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
