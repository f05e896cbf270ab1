"""Days, weeks and months of a time zone, and the Unix times at which they begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

EPOCH = date(1970, 1, 1)
DAY_SECONDS = 86_400
DAY_MS = DAY_SECONDS * 1000


def day_of(seconds: float, zone: tzinfo = UTC) -> date:
    """The day that a Unix time is in."""
    return datetime.fromtimestamp(seconds, zone).date()


def day_number(day: date) -> int:
    """The days since 1970-01-01."""
    return (day - EPOCH).days


def numbered_day(number: int) -> date:
    """The day that is so many days after 1970-01-01."""
    return EPOCH + timedelta(number)


def start(day: date, zone: tzinfo = UTC) -> float:
    """The Unix time at which the day begins. A midnight that clocks pass over is the moment at
    which they do, and of two midnights the first counts."""
    return datetime.combine(day, time(), zone).timestamp()


def start_ms(day: date, zone: tzinfo = UTC) -> int:
    """When the day begins, in Unix milliseconds."""
    return round(start(day, zone) * 1000)


def next_day(now: float, zone: tzinfo = UTC) -> float:
    """The Unix time at which the day ends."""
    return start(day_of(now, zone) + timedelta(1), zone)


def next_week(now: float, zone: tzinfo = UTC) -> float:
    """The Unix time at which the ISO week ends, which begins with Monday."""
    day = day_of(now, zone)
    return start(day + timedelta(7 - day.weekday()), zone)


def first_of_next_month(day: date) -> date:
    """The first day of the month after the one that `day` is in."""
    year, month = divmod(day.year * 12 + day.month, 12)
    return date(year, month + 1, 1)


def next_month(now: float, zone: tzinfo = UTC) -> float:
    """The Unix time at which the month ends."""
    return start(first_of_next_month(day_of(now, zone)), zone)
