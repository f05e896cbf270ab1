"""Tests wait past midnight, and at no other time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.midnight import seconds_left


@pytest.mark.parametrize(
    ("at", "left"),
    [
        ("23:54:59", 0),
        ("23:55:01", 309),
        ("23:59:30", 40),
        ("00:00:00", 10),
        ("00:00:04", 6),
        ("00:00:11", 0),
    ],
)
def test_what_begins_about_midnight_begins_on_the_new_day(at: str, left: int) -> None:
    assert seconds_left(datetime.fromisoformat(f"2027-12-31T{at}Z").timestamp(), UTC) == left


def test_the_midnight_is_that_of_the_zone() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")
    moment = datetime(2026, 11, 22, 23, 59, 50, tzinfo=kathmandu).timestamp()
    assert seconds_left(moment, kathmandu) == 20
    assert seconds_left(moment, UTC) == 0
