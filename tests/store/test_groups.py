"""Groups of client keys: what they are, who is in them, and what they have spent."""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.table import GROUP_LIMITS, Limit, Limits
from airoxy.errors import Conflict, InvalidInput, NotFound
from airoxy.store import groups, keys, limits, schema
from airoxy.store.names import all_names
from airoxy.store.schema import run
from airoxy.store.usage import costs
from tests.conftest import NOON
from tests.store.seed import TODAY, add_key, append, days_ago, row

ALL = EVERYBODY + GROUPS_FROM


def number(group_id: int) -> int:
    return group_id + GROUPS_FROM


def put(db: apsw.Connection, key_id: int, group_id: int | None) -> None:
    limits.set_limits(db, key_id, {"group_id": group_id})


def test_the_group_of_all_keys_is_there_from_the_beginning(db: apsw.Connection) -> None:
    add_key(db, "laptop")
    (found,) = groups.list_groups(db)
    assert (found["id"], found["name"], found["api_keys"]) == (EVERYBODY, "all", ["laptop"])


@pytest.mark.parametrize("limit", GROUP_LIMITS, ids=lambda limit: limit.name)
def test_each_limit_of_a_group_is_the_one_it_is_called(db: apsw.Connection, limit: Limit) -> None:
    group_id = groups.add_group(db, "data", NOON)
    value: Any = {("7",): ("7",), "7": 7}[limit.unit.unpack("7")]
    groups.set_group(db, group_id, {limit.column: value})
    holders = groups.limits_of_groups(db)
    assert {each: holder.limits for each, holder in holders.items()} == {
        group_id: Limits(**{limit.name: value})
    }
    told = groups.find_group(db, group_id)[limit.column]
    assert told == (list(value) if isinstance(value, tuple) else value)
    groups.set_group(db, group_id, {limit.column: None})
    assert groups.limits_of_groups(db) == {}


@pytest.mark.parametrize("name", ["all", "All", "none", "NONE"])
def test_words_that_mean_something_else_are_no_names(db: apsw.Connection, name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        groups.add_group(db, name, NOON)


def test_a_name_is_there_once_and_is_free_again_when_its_group_goes(db: apsw.Connection) -> None:
    first = groups.add_group(db, "data", NOON)
    with pytest.raises(Conflict, match="'data'"):
        groups.add_group(db, "data", NOON)
    groups.remove_group(db, first, NOON)
    second = groups.add_group(db, "data", NOON)
    assert second != first
    groups.set_group(db, second, {"name": "data", "note": "mine"})
    other = groups.add_group(db, "web", NOON)
    with pytest.raises(Conflict, match="'data'"):
        groups.set_group(db, other, {"name": "data", "note": "lost"})
    assert groups.find_group(db, other)["note"] is None


def test_the_group_of_all_keys_stays_as_it_is_called(db: apsw.Connection) -> None:
    for change in (
        lambda: groups.set_group(db, EVERYBODY, {"name": "every"}),
        lambda: groups.remove_group(db, EVERYBODY, NOON),
    ):
        with pytest.raises(Conflict, match="built in"):
            change()
    groups.set_group(db, EVERYBODY, {"note": "the company"})
    assert groups.find_group(db, EVERYBODY)["note"] == "the company"


@pytest.mark.parametrize("group_id", [2, 7])
def test_there_is_nothing_to_change_of_a_group_that_is_not_there(
    db: apsw.Connection, group_id: int
) -> None:
    groups.remove_group(db, groups.add_group(db, "gone", NOON), NOON)
    for change in (
        lambda: groups.set_group(db, group_id, {"note": "x"}),
        lambda: groups.remove_group(db, group_id, NOON),
        lambda: groups.find_group(db, group_id),
    ):
        with pytest.raises(NotFound, match=f"no group {group_id}"):
            change()


def test_the_keys_of_a_group_that_goes_are_in_none(db: apsw.Connection) -> None:
    group_id = groups.add_group(db, "data", NOON)
    for name in ("one", "two", "three"):
        put(db, add_key(db, name), group_id)
    put(db, 2, None)
    keys.remove_key(db, 3, NOON)
    assert groups.find_group(db, group_id)["api_keys"] == ["one"]
    assert keys.find_key(db, 1)["group_name"] == "data"
    groups.remove_group(db, group_id, NOON)
    assert [key["group_id"] for key in keys.list_keys(db)] == [None, None]
    assert all_names(db, "groups")[group_id] == "data"


def test_a_group_pays_for_what_its_keys_did_while_they_were_in_it(db: apsw.Connection) -> None:
    data, web = (groups.add_group(db, name, NOON) for name in ("data", "web"))
    append(
        db,
        row(cost_nanousd=1, group_id=data),
        row(cost_nanousd=2, group_id=data, api_key_id=2),
        row(cost_nanousd=4),
        row(days_ago(1), cost_nanousd=8, group_id=data),
        row(TODAY.replace(day=1), cost_nanousd=16, group_id=data),
        row(days_ago(400), cost_nanousd=32, group_id=data),
        row(cost_nanousd=64, group_id=web),
    )
    spent = limits.spent(db, number(data), TODAY, total=True)
    assert spent == {"day": 3, "week": 11, "month": 27, "total": 59}
    assert limits.spent(db, number(web), TODAY) == {"day": 64, "week": 64, "month": 64}


def test_costs_that_were_computed_anew_are_what_a_group_has_spent(db: apsw.Connection) -> None:
    data = groups.add_group(db, "data", NOON)
    groups.set_group(db, EVERYBODY, {"spend_total_nanousd": 100})
    append(db, row(cost_nanousd=5, group_id=data))
    with schema.transaction(db):
        costs.change_costs(db, [costs.Change(1, 5, 50)])
    for each in (number(data), ALL):
        assert set(limits.spent(db, each, TODAY, total=True).values()) == {50}


def test_what_was_spent_before_its_limit_was_set_counts(db: apsw.Connection) -> None:
    add_key(db, "laptop")
    append(db, row(cost_nanousd=5), row(days_ago(500), cost_nanousd=7), row(api_key_id=2))
    limits.set_limits(db, 1, {"spend_total_nanousd": 100})
    groups.set_group(db, EVERYBODY, {"spend_per_month_nanousd": 100})
    append(db, row(cost_nanousd=1))
    assert limits.spent(db, 1, TODAY, total=True)["total"] == 13
    assert limits.spent(db, ALL, TODAY, total=True)["total"] == 1_000_013
    assert limits.spent(db, ALL, TODAY)["day"] == 1_000_006


def test_without_limits_nobodys_spending_is_summed(db: apsw.Connection) -> None:
    limits.set_limits(db, add_key(db, "laptop"), {"spend_per_month_nanousd": 100})
    groups.set_group(db, EVERYBODY, {"requests_per_minute": 100})
    append(db, row(cost_nanousd=5))
    assert run(db, "SELECT * FROM spending") == []
    # It is looked up where it is only shown.
    assert limits.recorded_use(db, ALL, NOON).spent["total"] == 5
    assert limits.recorded_use(db, 1, NOON).spent.get("total") is None


def test_of_the_last_minute_a_group_has_what_its_keys_did(db: apsw.Connection) -> None:
    data = groups.add_group(db, "data", NOON)
    second = int(NOON)
    append(
        db,
        row(time="12:00:01", duration_ms=0, group_id=data),
        row(time="12:00:02", duration_ms=0, group_id=data, api_key_id=2),
        row(time="12:00:03", duration_ms=0),
    )
    of_data = [(second + n, *counts) for n in (1, 2) for counts in ((0, 100), (1, 0))]
    assert limits.last_minute(db, number(data), NOON + 30) == of_data
    assert len(limits.last_minute(db, ALL, NOON + 30)) == 6


def test_sums_of_groups_agree_with_the_rows_whatever_is_done(db: apsw.Connection) -> None:
    draw = random.Random(17)
    ids = [groups.add_group(db, f"group {n}", NOON) for n in range(3)]
    for n in range(4):
        add_key(db, f"key {n}")
    written = 0
    for _ in range(300):
        what = draw.randrange(8)
        key_id = draw.randint(1, 4)
        if what == 0:
            put(db, key_id, draw.choice([None, *ids]))
        elif what == 1:
            limits.set_limits(db, key_id, {"spend_total_nanousd": draw.choice([None, 9])})
        elif what == 2:
            groups.set_group(db, EVERYBODY, {"spend_per_day_nanousd": draw.choice([None, 9])})
        elif what == 3 and written:
            changed = draw.randint(1, written)
            ((cost,),) = run(db, "SELECT cost_nanousd FROM requests WHERE id = ?", (changed,))
            with schema.transaction(db):
                costs.change_costs(db, [costs.Change(changed, cost, draw.randint(0, 99))])
        else:
            day, group_id = days_ago(draw.randrange(40)), keys.find_key(db, key_id)["group_id"]
            cost = draw.randint(0, 99)
            append(db, row(day, api_key_id=key_id, group_id=group_id, cost_nanousd=cost))
            written += 1
    summed = dict(run(db, "SELECT spender, sum(cost_nanousd) FROM spending GROUP BY 1"))
    assert ALL in summed
    assert set(summed) <= {row[0] for row in run(db, "SELECT id FROM spenders")}
    for spender, cost in summed.items():
        whose = {True: f"group_id = {spender - GROUPS_FROM}", False: f"api_key_id = {spender}"}
        where = "TRUE" if spender == ALL else whose[spender > GROUPS_FROM]
        assert run(db, f"SELECT sum(cost_nanousd) FROM requests WHERE {where}") == [(cost,)]
