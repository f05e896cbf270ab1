"""Days and months in UTC, and the Unix times at which they begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

EPOCH = date(1970, 1, 1)
DAY_SECONDS = 86_400
DAY_MS = DAY_SECONDS * 1000


def day_of(seconds: float) -> date:
    """The day that a Unix time is in."""
    return datetime.fromtimestamp(seconds, UTC).date()


def day_number(day: date) -> int:
    """The days since 1970-01-01."""
    return (day - EPOCH).days


def numbered_day(number: int) -> date:
    """The day that is so many days after 1970-01-01."""
    return EPOCH + timedelta(number)


def start_ms(day: date) -> int:
    """When the day begins, in Unix milliseconds."""
    return day_number(day) * DAY_MS


def next_day(now: float) -> float:
    """The Unix time at which the day ends."""
    return float((now // DAY_SECONDS + 1) * DAY_SECONDS)


def next_week(now: float) -> float:
    """The Unix time at which the ISO week ends, which begins with Monday."""
    day = day_of(now)
    return float((day_number(day) + 7 - day.weekday()) * DAY_SECONDS)


def first_of_next_month(day: date) -> date:
    """The first day of the month after the one that `day` is in."""
    year, month = divmod(day.year * 12 + day.month, 12)
    return date(year, month + 1, 1)


def next_month(now: float) -> float:
    """The Unix time at which the month ends."""
    return float(day_number(first_of_next_month(day_of(now))) * DAY_SECONDS)
