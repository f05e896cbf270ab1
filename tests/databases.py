"""New databases, copied from one that was made once: a copy costs a fiftieth of its migrations."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import apsw

from airoxy.store.file.access import make_file
from airoxy.store.schema import open_database


def open_new(path: Path) -> apsw.Connection:
    """As `open_database`, where nothing is yet."""
    make_database(path)
    return open_database(path)


def make_database(path: Path) -> None:
    """What `open_database` leaves at `path`, made a while ago. What is there already stays."""
    if not path.exists():
        make_file(path)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="airoxy-") as directory:
        path = Path(directory, "airoxy.db")
        open_database(path).close()
        return path.read_bytes()
