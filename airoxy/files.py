"""Files that are complete and on the disk before they have their name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written(
    path: Path, *, beside: str | None = None, replace: bool = True, wait: bool = False
) -> Iterator[Path]:
    """A new file for its owner alone, to be filled in the block; it becomes `path` at the end, or
    is removed where the block fails.

    Meanwhile it is called `beside`, else `path` with .unfinished behind it. One of that name is
    left over from a process that was killed and makes way, unless `wait` says that somebody may
    still be writing it. Raises FileExistsError, also for `path` unless it may `replace` that.
    """
    unfinished = path.with_name(beside or f"{path.name}.unfinished")
    if not wait:
        unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield unfinished
        sync(unfinished)
        if replace:
            unfinished.replace(path)
        else:
            path.hardlink_to(unfinished)
            unfinished.unlink()
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk has it. Of a directory that is the names in it."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
