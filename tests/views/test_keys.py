"""Client keys as they are shown: many at once as one by one."""

from __future__ import annotations

import datetime

import apsw
import pytest

from airoxy.store import groups, keys
from airoxy.store.limits import set_limits
from airoxy.store.schema import run
from airoxy.store.usage import requests
from airoxy.store.usage.first_tables import BLOCK
from airoxy.store.usage.last_use import last_uses
from airoxy.views.keys import list_with_use, with_use
from tests.store.seed import TODAY, add_key, append, days_ago, row

NOON = datetime.datetime.combine(TODAY, datetime.time(12), datetime.UTC).timestamp()
#: As if so many requests had been before.
_FURTHER = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'requests'"


@pytest.fixture
def used(db: apsw.Connection) -> apsw.Connection:
    """Keys that were used now, today, weeks and months ago, and never; limited in total, and in a
    group."""
    for name in ("now", "today", "weeks", "months", "never", "total", "grouped"):
        add_key(db, name)
    append(db, row(days_ago(200), api_key_id=4), row(days_ago(300), api_key_id=4))
    append(db, row(days_ago(200), api_key_id=6, cost_nanousd=7))
    requests.delete_slice(db, days_ago(100), 100)
    for key, day in ((3, days_ago(14)), (2, TODAY), (1, days_ago(1)), (7, TODAY)):
        append(db, row(day, "03:00:00", api_key_id=key, cost_nanousd=key))
        run(db, _FURTHER, (BLOCK,))
    append(db, row(time="11:59:30", api_key_id=1), row(time="11:59:59", api_key_id=6))
    set_limits(db, 6, {"spend_total_nanousd": 10**9, "requests_per_minute": 5})
    group = groups.add_group(db, "web", 0, {"spend_total_nanousd": 10**9})
    set_limits(db, 7, {"group_id": group})
    return db


def test_many_keys_have_used_what_each_of_them_has(used: apsw.Connection) -> None:
    listed = keys.list_keys(used)
    assert list_with_use(used, listed, NOON) == [with_use(used, key, NOON) for key in listed]


def test_what_a_key_is_told_to_have_used_is_what_it_has(used: apsw.Connection) -> None:
    found = {key["name"]: key for key in list_with_use(used, keys.list_keys(used), NOON)}
    assert found["now"]["requests_last_minute"] == 1
    assert found["total"]["spent_total_nanousd"] == 1_000_007
    assert found["weeks"]["spent_today_nanousd"] == 0
    assert found["weeks"]["spent_this_month_nanousd"] == 3
    assert found["never"]["last_used_at"] is None
    months = datetime.datetime.combine(days_ago(200), datetime.time(0), datetime.UTC)
    assert found["months"]["last_used_at"] == months.timestamp()


def test_what_was_used_since_is_found_in_the_newest_block_alone(used: apsw.Connection) -> None:
    before, block = last_uses(used)
    append(used, row(time="12:00:05", api_key_id=5))
    fresh, last = last_uses(used, block)
    assert last == block
    assert fresh == {1: NOON - 30, 5: NOON + 5, 6: NOON - 1}
    assert {**before, **fresh} == last_uses(used)[0]
