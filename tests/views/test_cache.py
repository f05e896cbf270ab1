"""What the prompt cache saved: of many days at once as of each by itself."""

from __future__ import annotations

import datetime
import random
from typing import Any

import apsw
import pytest

from airoxy.core.billing.pricing import PriceTable
from airoxy.core.billing.usage import PROMPT
from airoxy.store import groups
from airoxy.store.usage.daily import by_day_key_and_model, totals
from airoxy.views.cache import cache_effect, saved
from airoxy.views.report.lines import SAVED, read_report
from tests.store.seed import TODAY, add_key, append, days_ago, row

_PLAIN = {"input": 3, "write_5m": 4, "write_1h": 6, "read": 1, "output": 10}
_LARGE = {"over": 1000, "input": 7, "write_5m": 8, "write_1h": 9, "read": 2, "output": 20}
#: One model gets cheaper in the middle of the month, one costs more for large prompts.
PRICES = PriceTable.parse(
    [
        {"model": "changed", **_PLAIN},
        {"model": "changed", "from": TODAY - datetime.timedelta(9), **_PLAIN, "read": 2},
        {"model": "tiered-*", **_PLAIN, "tiers": [_LARGE]},
    ]
)
_MODELS = ("changed", "tiered-a", "tiered-b", "unknown", None)


@pytest.fixture
def used(db: apsw.Connection) -> apsw.Connection:
    chance = random.Random(4)
    for name in ("one", "two", "three"):
        add_key(db, name)
    group = groups.add_group(db, "web", 0)
    append(
        db,
        *(
            row(
                days_ago(chance.randrange(50)), api_key_id=1 + chance.randrange(3),
                group_id=chance.choice((None, group)), model=chance.choice(_MODELS),
                cost_nanousd=chance.randrange(10**6),
                **{name: chance.randrange(1000) for name in PROMPT},
            )
            for _ in range(400)
        ),
    )  # fmt: skip
    return db


def by_days(db: apsw.Connection, since: datetime.date | None, **whose: int) -> int:
    rows = by_day_key_and_model(db, since, None, **whose)
    return sum(saved(row, PRICES) for row in rows)


@pytest.mark.parametrize("since", [None, days_ago(70), days_ago(20), days_ago(9), TODAY])
@pytest.mark.parametrize("key", [None, 2])
def test_it_is_what_each_day_of_each_key_saved(
    used: apsw.Connection, since: datetime.date | None, key: int | None
) -> None:
    told = cache_effect(
        used, PRICES, since=since, until=None, token_id=None, key_id=key, group_id=None
    )
    whose = {} if key is None else {"key_id": key}
    assert told["cache_saved_nanousd"] == by_days(used, since, **whose)


def test_the_lines_and_the_days_of_a_report_have_the_same_in_all(used: apsw.Connection) -> None:
    first = TODAY.replace(day=1)
    report = read_report(used, PRICES, first, TODAY)
    whole = by_days(used, first)
    assert report.totals[SAVED] == whole
    assert sum(day[SAVED] for day in report.days) == whole
    for key_id in (1, 2, 3):
        mine: list[dict[str, Any]] = [k for k in report.keys if k["api_key_id"] == key_id]
        assert sum(key[SAVED] for key in mine) == by_days(used, first, key_id=key_id)


@pytest.mark.parametrize("since", [None, datetime.date.min, days_ago(20), days_ago(-3)])
@pytest.mark.parametrize("until", [None, days_ago(5), datetime.date.max])
def test_a_keys_sums_are_those_of_all_days(
    used: apsw.Connection, since: datetime.date | None, until: datetime.date | None
) -> None:
    one_by_one = [totals(used, since=since, until=until, key_id=key) for key in (1, 2, 3)]
    whole = totals(used, since=since, until=until)
    assert {name: sum(each[name] for each in one_by_one) for name in whole} == whole
