"""Days as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from airoxy.errors import InvalidInput
from airoxy.views.times import typed_day
from tests.conftest import NOON


@pytest.mark.parametrize(
    ("zone", "now", "typed", "day"),
    [
        ("UTC", "2026-11-22T12:00", "7d", "2026-11-15"),
        ("UTC", "2026-11-22T00:00", "0d", "2026-11-22"),
        ("UTC", "2026-11-22T12:00", "2w", "2026-11-08"),
        ("UTC", "2026-11-22T12:00", "999999w", "1970-01-01"),
        # The clocks went an hour forward: 168 hours ago it was an hour before.
        ("Europe/Berlin", "2027-03-30T00:30", "7d", "2027-03-23"),
        ("Europe/Berlin", "2027-03-30T00:30", "1w", "2027-03-23"),
        ("America/New_York", "2027-03-15T00:10", "1d", "2027-03-14"),
        # The clocks went an hour back.
        ("Europe/Berlin", "2027-11-01T23:30", "1d", "2027-10-31"),
        ("Europe/Berlin", "2027-10-31T23:30", "1d", "2027-10-30"),
    ],
)
def test_days_ago_are_days_of_the_calendar(zone: str, now: str, typed: str, day: str) -> None:
    known = ZoneInfo(zone)
    moment = datetime.fromisoformat(now).replace(tzinfo=known).timestamp()
    assert str(typed_day(typed, moment, "--since", known)) == day


def test_a_moment_within_a_day_is_none() -> None:
    assert str(typed_day("2026-11-20", NOON, "--since", UTC)) == "2026-11-20"
    for typed in ("2h", "2026-11-20T10:00", "10:00"):
        with pytest.raises(InvalidInput, match="whole days"):
            typed_day(typed, NOON, "--since", UTC)
