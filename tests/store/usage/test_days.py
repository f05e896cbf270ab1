"""The days of the sums in a time zone."""

from __future__ import annotations

import datetime
import random
from zoneinfo import ZoneInfo

import apsw
import pytest

from airoxy.calendar import day_number, day_of
from airoxy.core.billing.usage import Usage
from airoxy.store.schema import run
from airoxy.store.usage import costs, daily, days
from tests.conftest import NOON
from tests.store.seed import append, row

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
#: Clocks in Berlin go back from 3:00 to 2:00 on the first, and on from 2:00 to 3:00 on the second.
AUTUMN = datetime.datetime(2027, 10, 31, 1, tzinfo=datetime.UTC).timestamp()
SPRING = datetime.datetime(2027, 3, 28, 1, tzinfo=datetime.UTC).timestamp()


def at(seconds: float, **changes: object) -> object:
    return row(**changes)._replace(requested_at_ms=round(seconds * 1000))  # type: ignore[arg-type]


def by_day(db: apsw.Connection) -> dict[str, int]:
    return {each["day"]: each["requests"] for each in daily.totals_by(db, "day")}


@pytest.mark.parametrize("change", [AUTUMN, SPRING])
def test_a_day_on_which_clocks_change_is_summed_to_its_last_second(
    db: apsw.Connection, change: float
) -> None:
    days.settle(db, BERLIN, NOON)
    today = day_of(change, BERLIN)
    begins = datetime.datetime.combine(today, datetime.time(), BERLIN).timestamp()
    ends = begins + 86_400 + (3600 if change == AUTUMN else -3600)
    append(db, *[at(when) for when in (begins - 0.001, begins, ends - 0.001, ends)])
    assert list(by_day(db).values()) == [1, 2, 1]
    for when in (begins, ends - 1):
        assert days.today(db, when) == today
    assert days.today(db, ends) > today > days.today(db, begins - 1)


@pytest.mark.parametrize(
    "name",
    ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo",
     "Pacific/Apia", "America/Havana", "Africa/Casablanca", "UTC"],
)  # fmt: skip
def test_the_database_has_the_same_days_as_the_time_zone(db: apsw.Connection, name: str) -> None:
    chance, zone = random.Random(7), ZoneInfo(name)
    days.settle(db, zone, NOON)
    moments = [NOON + chance.randrange(700 * 86_400_000) / 1000 for _ in range(400)]
    moments += [edge + s for edge, _ in days.offsets(zone, NOON, NOON + 6e7) for s in (0, 1)]
    append(db, *[at(each) for each in moments])
    expected: dict[str, int] = {}
    for each in moments:
        day = day_of(each, zone).isoformat()
        expected[day] = expected.get(day, 0) + 1
        assert days.today(db, each) == day_of(each, zone)
    assert by_day(db) == expected


def test_another_zone_holds_from_then_on_and_what_was_summed_stays(db: apsw.Connection) -> None:
    late = NOON + 11.5 * 3600  # 23:30 UTC, the next day in Berlin and in Tokyo
    append(db, at(late))
    assert days.settle(db, BERLIN, late + 60)
    append(db, at(late + 61), at(late + 59))
    assert by_day(db) == {"2026-11-22": 2, "2026-11-23": 1}
    # A cost that changes finds the sums to which it was added.
    for number in (1, 2, 3):
        costs.change_costs(db, [costs.Change(number, 1_000_000, 5_000_000)])
    assert [each["cost_nanousd"] for each in daily.totals_by(db, "day")] == [10_000_000, 5_000_000]
    days.settle(db, datetime.UTC, late + 120)
    append(db, at(late + 121))
    assert by_day(db) == {"2026-11-22": 3, "2026-11-23": 1}


def test_settling_again_is_no_news_and_the_nightly_job_looks_further_ahead(
    db: apsw.Connection,
) -> None:
    assert not days.settle(db, datetime.UTC, NOON)
    assert days.settle(db, BERLIN, NOON)
    last = run(db, "SELECT max(since) FROM day_offsets")[0][0]
    changes = [n for n in range(400) if days.settle(db, BERLIN, NOON + n * 86_400)]
    assert 1 <= len(changes) <= 3
    assert run(db, "SELECT max(since) FROM day_offsets")[0][0] > last
    assert days.settle(db, TOKYO, NOON + 401 * 86_400)
    append(db, at(NOON + 402 * 86_400))
    assert list(by_day(db)) == ["2027-12-29"]


def test_in_utc_a_row_is_added_without_asking_for_an_offset(db: apsw.Connection) -> None:
    ((trigger,),) = run(db, "SELECT sql FROM sqlite_schema WHERE name = 'requests_written'")
    assert "CASE WHEN NEW.requested_at" not in " ".join(trigger.split())
    append(db, at(NOON, usage=Usage("claude-opus-5-5", 1)))
    ((day,),) = run(db, "SELECT day FROM daily")
    assert day == day_number(day_of(NOON))
