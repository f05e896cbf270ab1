"""Sums are the same wherever they are read, whatever has changed the past."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import apsw
import pytest

from airoxy.calendar import day_number, numbered_day, start_ms
from airoxy.core.billing.pricing import PriceTable
from airoxy.core.billing.usage import PROMPT
from airoxy.fleet.overview.everybody import show_others
from airoxy.store import groups
from airoxy.store.schema import open_database, run, transaction
from airoxy.store.usage import costs, daily, days, requests
from airoxy.store.usage.rollups.roll import roll_up
from airoxy.views.cache import cache_effect
from airoxy.views.report.lines import read_report
from tests.store.seed import TODAY, add_key, add_token, append, days_ago, row

_COLUMNS = ("day", "api_key_id", "token_id", "model", "group_id")
_IDS = {"key": "api_key_id", "token": "token_id", "group": "group_id"}
_RATES = {"input": 3, "write_5m": 4, "write_1h": 6, "read": 1, "output": 10}
_MODELS = ("plain", "tiered-a", "tiered-b", None)
PRICES = PriceTable.parse(
    [
        {"model": "plain", **_RATES},
        {"model": "plain", "from": days_ago(35), **_RATES, "read": 2},
        {"model": "tiered-*", **_RATES, "tiers": [{"over": 1000, **_RATES, "input": 7}]},
    ]
)
#: Within a month, over months, over a turn of the year, and all.
_SPANS = [
    (None, None), (days_ago(400), None), (days_ago(20), days_ago(2)), (days_ago(330), days_ago(40)),
    (datetime.date(2026, 10, 1), datetime.date(2026, 11, 1)), (None, days_ago(1)),
    (datetime.date(2026, 1, 1), TODAY), (TODAY, None), (datetime.date.min, datetime.date.max),
]  # fmt: skip


def naive(db: apsw.Connection) -> list[dict[str, Any]]:
    columns = [name for (name,) in run(db, "SELECT name FROM pragma_table_info('daily')")]
    rows = [dict(zip(columns, each, strict=True)) for each in run(db, "SELECT * FROM daily")]
    return [{**each, "successful": each["requests"] - each["failed"]} for each in rows]


def chosen(
    rows: list[dict[str, Any]], since: datetime.date | None, until: datetime.date | None
) -> list[dict[str, Any]]:
    first = day_number(since or datetime.date.min)
    return [row for row in rows if first <= row["day"] < day_number(until or datetime.date.max)]


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum(row[name] for row in rows) for name in daily.TOTALS}


def summed_by(rows: list[dict[str, Any]], *fields: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for each in rows:
        found.setdefault(tuple(each[field] for field in fields), []).append(each)
    return {group: summed(some) for group, some in found.items()}


def check(db: apsw.Connection) -> None:
    """All that is read from the rollups, against Python's sums over the daily ones."""
    everything = naive(db)
    for since, until in _SPANS:
        span = {"since": since, "until": until}
        wanted = chosen(everything, since, until)
        for of, number in [("", 0), ("key", 2), ("token", 1), ("group", 2)]:
            whose = {f"{of}_id": number} if of else {}
            rows = [each for each in wanted if not of or each[_IDS[of]] == number]
            assert daily.totals(db, **span, **whose) == summed(rows)
            for group in daily.GROUPS:
                field = _IDS.get(group, group)
                told = {
                    each.get(field) or 0: {name: each[name] for name in daily.TOTALS}
                    for each in daily.totals_by(db, group, **span, **whose)
                }
                assert told == {
                    (numbered_day(key).isoformat() if group == "day" else key or 0): sums
                    for (key,), sums in summed_by(rows, field).items()
                }, (since, until, of, group)
    month, end = datetime.date(2026, 10, 1), datetime.date(2026, 11, 1)
    of_month = chosen(everything, month, end)
    assert {
        (each["api_key_id"], each["group_id"], each["model"] or ""): each["cost_nanousd"]
        for each in daily.by_key_and_model(db, month, end)
    } == {
        group: sums["cost_nanousd"]
        for group, sums in summed_by(of_month, "api_key_id", "group_id", "model").items()
    }
    assert {
        (day, model or ""): cost
        for day, model, cost in daily.costs_by_day_and_model(db, month, TODAY)
    } == {
        (numbered_day(day).isoformat(), model): sums["cost_nanousd"]
        for (day, model), sums in summed_by(
            chosen(everything, month, TODAY), "day", "model"
        ).items()
    }


def plain_savings(db: apsw.Connection) -> Callable[..., int]:
    """What the cache saved, told by a database that has nothing rolled up."""
    return lambda **span: cache_effect(
        db, PRICES, token_id=None, key_id=None, group_id=None, **span
    )["cache_saved_nanousd"]


@pytest.fixture
def plain(tmp_path: Path) -> Any:
    with closing(open_database(tmp_path / "plain.db")) as db:
        yield db


class _World:
    """The same happens to two databases; one of them is rolled up now and then."""

    def __init__(self, seed: int, *databases: apsw.Connection) -> None:
        self.chance = random.Random(seed)
        self.databases = databases
        for db in databases:
            for name in ("one", "two", "three"):
                add_key(db, name)
                add_token(db, name)
            groups.add_group(db, "web", 0)

    def rows(self) -> None:
        chance = self.chance
        some = [
            row(
                days_ago(int(450 * chance.random() ** 3)),
                f"{chance.randrange(24):02}:30:00",
                api_key_id=1 + chance.randrange(3), token_id=chance.choice((None, 1, 2)),
                group_id=chance.choice((None, 2)), model=chance.choice(_MODELS),
                cost_nanousd=chance.randrange(10**6), status_code=chance.choice((200, 200, 429)),
                is_estimate=chance.random() < 0.1, moved=chance.random() < 0.1,
                **{name: chance.randrange(1000) for name in PROMPT},
            )
            for _ in range(chance.randrange(1, 60))
        ]  # fmt: skip
        for db in self.databases:
            append(db, *some)

    def recost(self) -> None:
        first = self.chance.randrange(100)
        for db in self.databases:
            some = run(db, "SELECT id, cost_nanousd FROM requests WHERE id % 7 = ?", (first % 7,))
            with transaction(db):
                costs.change_costs(db, [costs.Change(id_, cost, cost + 5) for id_, cost in some])

    def uncount(self) -> None:
        at = self.chance.randrange(9)
        for db in self.databases:
            run(
                db,
                "UPDATE requests SET input_tokens = 0, output_tokens = 0, cost_nanousd = 0"
                " WHERE id % 9 = ?",
                (at,),
            )

    def take_over(self) -> None:
        day = day_number(days_ago(self.chance.randrange(1, 500)))
        for db in self.databases:
            run(
                db,
                "INSERT INTO daily (day, api_key_id, token_id, model, requests, failed,"
                " input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens,"
                " cache_read_tokens, web_search_requests, cost_nanousd)"
                " VALUES (?, 3, 0, 'imported', 4, 1, 5, 6, 7, 8, 9, 0, 10) ON CONFLICT DO NOTHING",
                (day,),
            )

    def purge(self) -> None:
        before = days_ago(self.chance.randrange(60, 300))
        for db in self.databases:
            with transaction(db):
                requests.delete_slice(db, before, 40)

    def move(self) -> None:
        """Days are those of another zone, from some time in the past on."""
        zone = ZoneInfo(self.chance.choice(("Asia/Tokyo", "America/New_York", "UTC")))
        now = start_ms(days_ago(self.chance.randrange(1, 200))) / 1000
        for db in self.databases:
            days.settle(db, zone, now)

    def happen(self) -> None:
        what = (self.recost, self.uncount, self.take_over, self.purge, self.move)
        self.rows()
        self.chance.choice(what)()


@pytest.mark.parametrize("seed", range(6))
def test_they_are_the_daily_sums_whatever_happened(
    db: apsw.Connection, plain: apsw.Connection, seed: int
) -> None:
    world = _World(seed, db, plain)
    savings = [plain_savings(each) for each in (db, plain)]
    for _ in range(8):
        world.happen()
        if world.chance.random() < 0.7:
            until = days_ago(world.chance.choice((0, 0, 25, 200)))
            with transaction(db):
                roll_up(db, until, world.chance.choice((5, 40, 10_000)))
        check(db)
        assert run(db, "SELECT * FROM daily") == run(plain, "SELECT * FROM daily")
        for since, until in _SPANS:
            told, expected = (each(since=since, until=until) for each in savings)
            assert told == expected, (since, until)
        for month in (datetime.date(2026, 11, 1), datetime.date(2026, 9, 1)):
            reports = [read_report(each, PRICES, month, TODAY) for each in (db, plain)]
            assert reports[0] == reports[1]
    assert run(plain, "SELECT * FROM rollup_horizon") == [(0, 0)]


def test_the_sums_of_a_fleets_other_hosts_are_among_them(
    db: apsw.Connection, plain: apsw.Connection
) -> None:
    world = _World(9, db, plain)
    world.rows()
    with transaction(db):
        roll_up(db, TODAY, 10_000)
    show_others(db, run(plain, "SELECT * FROM main.daily"))
    alone, both = daily.totals(plain), daily.totals(db)
    assert both == {name: 2 * count for name, count in alone.items()}


def test_it_reads_no_day_that_is_rolled_up_one_by_one(db: apsw.Connection) -> None:
    world = _World(3, db)
    for _ in range(20):
        world.rows()
    with transaction(db):
        while roll_up(db, TODAY, 1000) == 1000:
            pass
    world.rows()
    whole = daily.totals(db), daily.totals_by(db, "key")
    # Nobody does this; without the trigger the rollups do not notice.
    run(
        db,
        "DROP TRIGGER daily_rolled_up_delete;"
        "DELETE FROM daily WHERE day > (SELECT min(day) FROM daily) AND day < ?",
        (day_number(days_ago(1)),),
    )
    assert (daily.totals(db), daily.totals_by(db, "key")) == whole


def test_a_horizon_begins_anew_where_sums_are_deleted(db: apsw.Connection) -> None:
    world = _World(5, db)
    world.rows()
    with transaction(db):
        roll_up(db, TODAY, 10_000)
    run(db, "DELETE FROM daily WHERE day % 2")
    assert run(db, "SELECT * FROM rollup_horizon") == [(0, 0)]
    check(db)
    with transaction(db):
        roll_up(db, TODAY, 10_000)
    check(db)
