"""The limits of client keys, and what the usage log has of them."""

from __future__ import annotations

import datetime

import apsw
import pytest

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.table import LIMITS, Limit, Limits
from airoxy.errors import Conflict, NotFound
from airoxy.store import groups, keys, limits, schema
from airoxy.store.usage import costs
from tests.conftest import NOON
from tests.store.seed import TODAY, add_key, append, days_ago, row


def test_a_key_without_limits_is_not_among_those_that_have_some(db: apsw.Connection) -> None:
    add_key(db, "one")
    limits.set_limits(db, 1, {"note": "only a note"})
    assert limits.limits_in_force(db) == {}


def test_what_is_set_is_in_force_and_what_is_not_named_stays(db: apsw.Connection) -> None:
    add_key(db, "one")
    limits.set_limits(db, 1, {"spend_per_day_nanousd": 5, "models": ("claude-a", "claude-b*")})
    limits.set_limits(db, 1, {"concurrent_requests": 2, "expires_at": 99})
    wanted = Limits(5, concurrent_requests=2, models=("claude-a", "claude-b*"), expires_at=99)
    assert limits.limits_in_force(db) == {1: wanted}
    limits.set_limits(db, 1, {"models": None, "spend_per_day_nanousd": None})
    assert limits.limits_in_force(db) == {1: Limits(concurrent_requests=2, expires_at=99)}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_each_limit_is_the_one_it_is_called(db: apsw.Connection, limit: Limit) -> None:
    add_key(db, "one")
    value = {("7",): ("7",), "7": "none" if limit.name == "share_resources" else 7}[
        limit.unit.unpack("7")
    ]
    limits.set_limits(db, 1, {limit.column: value})
    assert limits.limits_in_force(db) == {1: Limits(**{limit.name: value})}
    told = keys.find_key(db, 1)[limit.column]
    assert told == (list(value) if isinstance(value, tuple) else value)


def test_a_key_that_is_off_has_no_limits_in_force(db: apsw.Connection) -> None:
    for name in ("one", "two"):
        limits.set_limits(db, add_key(db, name), {"requests_per_minute": 1})
    keys.toggle_key(db, 1)
    keys.remove_key(db, 2, 0)
    assert limits.limits_in_force(db) == {}


def test_a_name_may_change_but_not_to_anothers(db: apsw.Connection) -> None:
    add_key(db, "one")
    add_key(db, "two")
    limits.set_limits(db, 1, {"name": "one", "note": "mine"})
    with pytest.raises(Conflict, match="'two'"):
        limits.set_limits(db, 1, {"name": "two", "note": "lost"})
    assert (keys.find_key(db, 1)["name"], keys.find_key(db, 1)["note"]) == ("one", "mine")
    keys.remove_key(db, 2, 0)
    limits.set_limits(db, 1, {"name": "two"})
    assert keys.find_key(db, 1)["name"] == "two"


@pytest.mark.parametrize("key_id", [1, 7])
def test_there_is_nothing_to_set_for_who_is_not_there(db: apsw.Connection, key_id: int) -> None:
    keys.remove_key(db, add_key(db, "one"), 0)
    with pytest.raises(NotFound, match=f"no key {key_id}"):
        limits.set_limits(db, key_id, {"requests_per_minute": 1})
    with pytest.raises(NotFound):
        keys.find_key(db, key_id)


def test_what_was_spent_is_by_day_and_month_and_key(db: apsw.Connection) -> None:
    first = TODAY.replace(day=1)
    append(
        db,
        row(cost_nanousd=1),
        row(cost_nanousd=2, model="other", token_id=2),
        row(days_ago(1), cost_nanousd=10),
        row(first, cost_nanousd=20),
        row(first - datetime.timedelta(1), cost_nanousd=100),
        row(cost_nanousd=1000, api_key_id=2),
    )
    assert limits.spent(db, 1, TODAY) == {"day": 3, "week": 13, "month": 33}
    assert limits.spent(db, 2, TODAY) == {"day": 1000, "week": 1000, "month": 1000}
    assert limits.spent(db, 3, TODAY) == {"day": 0, "week": 0, "month": 0}
    # The first was a Sunday: its week began in the month before.
    assert limits.spent(db, 1, first) == {"day": 20, "week": 120, "month": 20}


def test_costs_that_were_computed_anew_are_what_was_spent(db: apsw.Connection) -> None:
    append(db, row(cost_nanousd=5))
    with schema.transaction(db):
        costs.change_costs(db, [costs.Change(1, 5, 50)])
    assert limits.spent(db, 1, TODAY) == dict.fromkeys(("day", "week", "month"), 50)


def test_of_the_last_minute_requests_count_when_they_came_and_tokens_at_their_end(
    db: apsw.Connection,
) -> None:
    now, second = NOON + 60.5, int(NOON)
    append(
        db,
        row(time="12:00:00", duration_ms=3000),  # came 60.5 s ago
        row(time="12:00:01", duration_ms=3000),
        row(time="12:00:02", attempts=0, status_code=429, duration_ms=1),
        row(time="12:00:30", endpoint="/v1/messages/batches/msgbatch_1/results", duration_ms=0),
        row(time="12:00:40", api_key_id=2),
        row(time="12:00:50", endpoint="/v1/chat/completions", duration_ms=0),
        row(time="11:59:50", duration_ms=5000),
    )
    found = limits.last_minute(db, 1, now)
    assert found == [
        (second + 1, 1, 0),
        (second + 3, 0, 100),
        (second + 4, 0, 100),
        (second + 30, 1, 0),
        (second + 50, 0, 100),
        (second + 50, 1, 0),
    ]
    assert limits.last_minute(db, 3, now) == []


def test_the_last_minute_of_all_is_that_of_each(db: apsw.Connection) -> None:
    data = groups.add_group(db, "data", NOON)
    rows = [row(time=f"12:00:{n}", api_key_id=1 + n % 2, group_id=data) for n in range(10, 30)]
    append(db, *rows, row(time="11:50:00", api_key_id=3))
    found = limits.use_of_last_minute(db, NOON + 50)
    everybody = EVERYBODY + GROUPS_FROM
    assert set(found) == {1, 2, data + GROUPS_FROM, everybody}
    for number, seconds in found.items():
        assert seconds == limits.last_minute(db, number, NOON + 50)
    assert sum(each.requests for each in found[everybody]) == 20


def test_no_index_of_all_rows_is_made_to_see_the_last_minute(db: apsw.Connection) -> None:
    asked: list[tuple[str, object]] = []

    def note(_: apsw.Cursor, statement: str, bindings: object) -> bool:
        asked.append((statement, bindings))
        return True

    db.setexectrace(note)
    for number in (1, EVERYBODY + GROUPS_FROM, EVERYBODY + 1 + GROUPS_FROM):
        limits.last_minute(db, number, NOON)
    db.setexectrace(None)
    assert len(asked) == 3
    for statement, bindings in asked:
        plan = [step[3] for step in db.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)]
        assert any("SEARCH r USING INTEGER PRIMARY KEY" in step for step in plan), plan
