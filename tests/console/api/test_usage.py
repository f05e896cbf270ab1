"""The usage log and its sums over the API: pages of rows, and whose they are."""

from __future__ import annotations

import json

import pytest

from airoxy.store.schema import transaction
from airoxy.store.usage.requests import append
from tests.console.running import log_row


@pytest.fixture(scope="module")
def rows(program):
    with program.console.opened() as db, transaction(db):
        append(db, [log_row(cost_nanousd=n, status_code=500 if n % 3 else 200) for n in range(9)])
    return [row["id"] for row in program("GET", "/api/logs").json()]


def pages(program, path):
    """Each page's ids, by the links from one to the next."""
    found = []
    while path:
        answer = program("GET", path)
        found.append([row["id"] for row in answer.json()])
        link = answer.headers["link"]
        path = link and link.partition("<")[2].partition(">")[0]
    return found


def test_pages_of_the_log_follow_each_other_with_the_filters(program, rows):
    assert pages(program, "/api/logs?limit=4") == [rows[:4], rows[4:8], rows[8:]]
    failed = [row for row, n in zip(rows, reversed(range(9)), strict=True) if n % 3]
    assert pages(program, "/api/logs?limit=3&status=failed") == [failed[:3], failed[3:]]
    assert pages(program, "/api/logs?limit=9") == [rows]


def test_lists_have_pages_where_they_are_asked_for(program):
    ids = [program.key(f"paged {number}") for number in range(3)]
    assert pages(program, f"/api/keys?limit=2&after={ids[0] - 1}") == [ids[:2], ids[2:]]
    assert len(program("GET", "/api/keys").json()) >= 3
    assert program("GET", "/api/keys?limit=0").status == 400


def test_the_audit_trail_has_pages_towards_the_past(program):
    program.key("audited")
    program("POST", "/api/keys/audited/disable")
    program("POST", "/api/keys/audited/enable")
    entries = program("GET", "/api/audit?key=audited").json()
    assert [entry["action"] for entry in entries] == ["added", "disabled", "enabled"]
    ids = [entry["id"] for entry in entries]
    assert pages(program, "/api/audit?key=audited&limit=2") == [ids[1:], ids[:1]]


@pytest.mark.parametrize("by", ["hour", "day", "group", "key", "model", "token"])
def test_sums_are_divided(program, rows, by):
    groups = program("GET", f"/api/stats?by={by}").json()
    assert sum(group["requests"] for group in groups) == len(rows)
    assert next(iter(groups[0])).startswith({"key": "api_key"}.get(by, by))


def test_sums_tell_what_the_cache_did(program, rows):
    (sums,) = program("GET", "/api/stats?cache=true").json()
    assert sums["cache_read_share"] == 0.0
    assert sums["cache_saved_nanousd"] == 0
    assert program("GET", "/api/stats?cache=true&by=day").status == 400


def test_sums_are_of_whole_days_and_hours_are_not(program, rows):
    assert program("GET", "/api/stats?since=2h").status == 400
    assert program("GET", "/api/stats?since=2h&by=hour").json()[0]["requests"] == len(rows)
    (sums,) = program("GET", "/api/stats?until=2020-01-01").json()
    assert sums["requests"] == 0


@pytest.mark.parametrize(
    "query",
    ["status=9xx", "since=soon", "failed=perhaps", "limit=1001", "before=x", "limit=-1",
     "limit=1e3"],
)  # fmt: skip
def test_a_filter_that_cannot_be_understood_is_a_problem_on_page_and_api(program, query):
    answer = program("GET", f"/api/logs?{query}")
    assert answer.status == 400
    assert json.loads(answer.body)["status"] == 400


def test_a_filter_of_nothing_that_is_there_is_not_found(program):
    for name in ("key", "token", "group"):
        assert program("GET", f"/api/logs?{name}=nothing").status == 404
