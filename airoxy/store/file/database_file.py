"""Whether the database's file is still the one that this process has opened."""

from __future__ import annotations

import os
from pathlib import Path


class DatabaseFile:
    """`path` is open by now. SQLite itself goes on with a file that was moved away or deleted, so
    what is written into it from then on may be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._identity = _identity(self._path)

    def trouble(self) -> str | None:
        """What has become of the file, and what to do."""
        identity = _identity(self._path)
        if identity == self._identity:
            return None
        if identity is None:
            return f"The database {self._path} is gone; put it back, or restart airoxy"
        return f"The database {self._path} was replaced; restart airoxy to use the new one"


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
