"""Days and months in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

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
