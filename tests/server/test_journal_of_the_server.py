"""What `journalctl -p warning -u airoxy` finds: the whole server, with the journal as its standard
error."""

from __future__ import annotations

import re
import time
from typing import Any

import apsw
import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.pool.pooled import ONE, ask


@pytest.fixture
def airoxy(install: Any, monkeypatch: pytest.MonkeyPatch) -> Airoxy:
    made: Airoxy = install()
    made.log.touch()
    file = made.log.stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{file.st_dev}:{file.st_ino}")
    made.start()
    made.token(ONE, name="one")
    return made


def wait_line(airoxy: Airoxy, pattern: str) -> str:
    deadline = time.monotonic() + 60
    while not (found := re.search(f"^.*{pattern}.*$", airoxy.errors, re.MULTILINE)):
        assert time.monotonic() < deadline, airoxy.errors
    return found[0]


def test_a_database_that_cannot_be_written_is_an_error(airoxy: Airoxy) -> None:
    key = airoxy.key()
    lock = apsw.Connection(str(airoxy.database))
    lock.setbusytimeout(10_000)
    lock.cursor().execute("BEGIN IMMEDIATE")
    assert ask(airoxy, key).status == 200
    assert wait_line(airoxy, "The database cannot be written").startswith("<3>")
    lock.cursor().execute("ROLLBACK")
    lock.close()
    assert wait_line(airoxy, "The database can be written again").startswith("<4>")


def test_every_line_has_a_priority(airoxy: Airoxy, upstream: FakeAnthropic) -> None:
    key = airoxy.key()
    upstream.script().limit(retry_after=30)
    assert ask(airoxy, key).status == 429
    assert wait_line(airoxy, "cools down").startswith("<4>Token 1 (one) cools down for claude-")
    lines = airoxy.errors.splitlines()
    assert all(re.match(r"<[2-7]>", line) for line in lines), lines
