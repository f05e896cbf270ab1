"""What tests of long jobs have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from airoxy.store import tokens
from airoxy.store.schema import open_database
from tests.conftest import Clock
from tests.jobs.refreshing import OLD, OLD_REFRESH


@pytest.fixture
def other(db: apsw.Connection) -> Iterator[apsw.Connection]:
    """Somebody else, who will not wait for a lock."""
    connection = open_database(Path(db.filename))
    connection.setbusytimeout(0)
    yield connection
    connection.close()


@pytest.fixture
def token_id(db: apsw.Connection, clock: Clock) -> int:
    """An OAuth token whose access token has just expired."""
    return tokens.add_token(
        db, name="pair", type="oauth", token=OLD, refresh_token=OLD_REFRESH,
        expires_at=int(clock()) - 1, now=clock(),
    )  # fmt: skip
