"""Midnight, which no test that goes by the machine's clock is to meet by chance.

What happens at midnight is tested by a clock that a test sets. A test that starts a program takes
what it does to be of one day, and one month: one that began a moment before midnight would find
its budget new, or what it has just written to be of yesterday.
"""

from __future__ import annotations

import datetime
import time

from airoxy.calendar import next_day

#: A test that begins so long before midnight is over by then, as it may not take longer, and one
#: that begins so long after it has no row of yesterday where it makes some that are a few seconds
#: old (seconds).
BEFORE, AFTER = 300, 10


def wait_past_midnight(zone: datetime.tzinfo = datetime.UTC, before: float = BEFORE) -> None:
    """If it is about midnight in this zone, return when the new day has begun."""
    time.sleep(seconds_left(time.time(), zone, before))


def seconds_left(now: float, zone: datetime.tzinfo, before: float = BEFORE) -> float:
    """How long it is about midnight yet; nothing, most of the day."""
    end = next_day(now - AFTER, zone) + AFTER
    return max(0.0, end - now) if end - now <= before + AFTER else 0.0
