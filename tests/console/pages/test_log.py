"""The page of the log where what is looked for is rare."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import apsw
import pytest

from airoxy.config import load_config
from airoxy.console.pages.log import show_log
from airoxy.console.visit import Rendered, Services, Visit
from airoxy.store.schema import run
from airoxy.store.usage.first_tables import BLOCK
from tests.conftest import Clock
from tests.store.seed import add_key, append, days_ago, row


@pytest.fixture
def visit(db: apsw.Connection, clock: Clock, tmp_path: Path) -> Visit:
    """Requests in four blocks, a day each."""
    file = tmp_path / "airoxy.yaml"
    file.write_text(json.dumps({"database": db.filename}))
    add_key(db, "one")
    for day in (4, 3, 2, 1):
        append(db, row(days_ago(day), request_id=f"req_{day}"))
        run(db, "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'requests'", (BLOCK,))
    return Visit(db, Services(load_config(file, {}), clock, lambda: (None, {}), list), None)


def shown(visit: Visit, patience: float, **query: str) -> dict[str, Any]:
    page = show_log(Visit(visit.db, visit.services, None, query=query), patience)
    assert isinstance(page, Rendered)
    return dict(page.values)


def test_a_search_that_takes_long_says_how_far_it_got_and_goes_on_from_there(visit: Visit) -> None:
    found, days = shown(visit, 0, q="req_4"), []
    for _ in range(3):
        assert not found["requests"]
        days.append(datetime.datetime.fromtimestamp(found["searched"], datetime.UTC).date())
        found = shown(visit, 0, **dict(parse_qsl(found["older"])))
    assert days == [days_ago(1), days_ago(2), days_ago(3)]
    assert [each["request_id"] for each in found["requests"]] == ["req_4"]
    assert found["older"] == ""


def test_a_search_that_ends_in_time_says_nothing_of_it(visit: Visit) -> None:
    for query, count in (({}, 4), ({"q": "req_2"}, 1), ({"q": "req_none"}, 0)):
        found = shown(visit, 60, **query)
        assert len(found["requests"]) == count
        assert (found["searched"], found["older"]) == (None, "")


def test_what_is_found_before_it_gives_up_is_shown(visit: Visit) -> None:
    found = shown(visit, 0)
    assert [each["request_id"] for each in found["requests"]] == ["req_1"]
    assert found["searched"] is not None
