"""Days, weeks and months of a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from airoxy import calendar


def utc(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("day", "first"),
    [
        (date(2026, 12, 31), date(2027, 1, 1)),
        (date(2027, 1, 31), date(2027, 2, 1)),
        (date(2028, 2, 1), date(2028, 3, 1)),
        (date(2026, 11, 1), date(2026, 12, 1)),
    ],
)
def test_the_next_month_begins_on_its_first_day(day: date, first: date) -> None:
    assert calendar.first_of_next_month(day) == first
    noon = utc(day.year, day.month, day.day, 12)
    assert calendar.next_month(noon) == utc(first.year, first.month, 1)


@pytest.mark.parametrize("now", [utc(2026, 11, 22), utc(2026, 11, 22, 23, 59, 59) + 0.999])
def test_a_day_ends_at_midnight(now: float) -> None:
    assert calendar.next_day(now) == utc(2026, 11, 23)
    assert calendar.day_of(now) == date(2026, 11, 22)


def test_a_day_and_its_number_name_each_other() -> None:
    assert calendar.day_number(date(1970, 1, 2)) == 1
    for day in (date(1970, 1, 1), date(2028, 2, 29)):
        assert calendar.numbered_day(calendar.day_number(day)) == day
        assert calendar.start_ms(day) == utc(day.year, day.month, day.day) * 1000


BERLIN, HAVANA, APIA = map(ZoneInfo, ("Europe/Berlin", "America/Havana", "Pacific/Apia"))


@pytest.mark.parametrize(
    ("zone", "begins", "hours"),
    [
        (BERLIN, utc(2026, 3, 28, 23), 23),  # the clock goes from 2:00 to 3:00
        (BERLIN, utc(2026, 10, 24, 22), 25),  # and back from 3:00 to 2:00
        (HAVANA, utc(2026, 3, 8, 5), 23),  # from 0:00 to 1:00: there is no midnight
        (HAVANA, utc(2026, 11, 1, 4), 25),  # from 1:00 to 0:00: there are two
        (APIA, utc(2011, 12, 29, 10), 24),  # the next day is left out
    ],
)
def test_a_day_on_which_clocks_change_turns_over_at_the_second(
    zone: ZoneInfo, begins: float, hours: int
) -> None:
    day, ends = calendar.day_of(begins, zone), begins + hours * 3600
    assert calendar.day_of(begins - 1, zone) < day < calendar.day_of(ends, zone)
    assert calendar.day_of(ends - 1, zone) == day
    assert calendar.start(day, zone) == begins
    for now in (begins, begins + 3 * 3600, ends - 1):
        assert calendar.next_day(now, zone) == ends


def test_weeks_and_months_turn_over_on_the_clocks_of_the_zone() -> None:
    """Sunday, 25 October 2026 has 25 hours, and the week and the month have an hour more, too."""
    sunday = utc(2026, 10, 25, 12)
    assert calendar.next_week(sunday, BERLIN) == utc(2026, 10, 25, 23)
    assert calendar.next_week(utc(2026, 10, 25, 23), BERLIN) == utc(2026, 11, 1, 23)
    assert calendar.next_month(sunday, BERLIN) == utc(2026, 10, 31, 23)
    assert calendar.next_month(utc(2026, 10, 31, 22, 59, 59), BERLIN) == utc(2026, 10, 31, 23)
    assert calendar.next_month(utc(2026, 10, 31, 23), BERLIN) == utc(2026, 11, 30, 23)
