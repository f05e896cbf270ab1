"""What reports, prices and health read, and how much of it they show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.calendar import day_number
from airoxy.config import load_config
from airoxy.console.pages.records import show_prices
from airoxy.console.visit import Services, Visit
from tests.conftest import Clock
from tests.store.seed import TODAY, append, days_ago, row


@pytest.fixture
def visit(db: apsw.Connection, clock: Clock, tmp_path: Path) -> Visit:
    file = tmp_path / "airoxy.yaml"
    file.write_text(json.dumps({"database": db.filename}))
    services = Services(load_config(file, {}), clock, lambda: (None, {}), list)
    return Visit(db, services, None)


@contextmanager
def asked_of_sums(db: apsw.Connection) -> Iterator[list[Any]]:
    """The values of what is asked of the daily sums meanwhile."""
    found: list[Any] = []

    def note(_: Any, statement: str, bindings: Any) -> bool:
        if "FROM daily" in statement:
            found.append(bindings)
        return True

    db.setexectrace(note)
    yield found
    db.setexectrace(None)


def test_prices_read_the_sums_of_days_that_are_over_once(visit: Visit, db: apsw.Connection) -> None:
    append(db, row(days_ago(40), model="new"), row(days_ago(3), model="new"))
    show_prices(visit)
    append(db, row(model="new"))
    with asked_of_sums(db) as asked:
        (found,) = show_prices(visit).values["prices"]["unpriced"]
    assert [first for first, *_ in asked] == [day_number(TODAY)]
    assert (found["requests"], found["last_day"]) == (3, TODAY.isoformat())
