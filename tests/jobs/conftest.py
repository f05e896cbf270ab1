"""What tests of long jobs have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.store.schema import open_database


@pytest.fixture
def other(db: apsw.Connection) -> Iterator[apsw.Connection]:
    """Somebody else, who will not wait for a lock."""
    connection = open_database(Path(db.filename))
    connection.setbusytimeout(0)
    yield connection
    connection.close()
