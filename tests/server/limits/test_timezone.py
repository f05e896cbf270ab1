"""Limits on money in a time zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from airoxy.calendar import next_day, next_month
from airoxy.core.limits.measures import Use
from airoxy.core.limits.refusal import refusal
from airoxy.core.limits.table import Limits
from tests.midnight import wait_past_midnight
from tests.server.limits.asking import COST, ask, dollars, limited, refused

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ((2026, 10, 25, 0, 30), "2026-10-26 00:00 CET"),
        ((2026, 10, 24, 21, 59, 59), "2026-10-25 00:00 CEST"),
        ((2026, 3, 28, 23), "2026-03-30 00:00 CEST"),
    ],
)
def test_a_limit_opens_at_midnight_on_the_days_on_which_clocks_change(now, until):
    moment = datetime(*now, tzinfo=UTC).timestamp()
    use = Use({"day": 1, "week": 1, "month": 1}, zone=BERLIN)
    found = refusal(Limits(spend_per_day=1), use, moment, costs=True)
    assert found is not None
    assert until in found.message
    assert found.until == next_day(moment, BERLIN)


@pytest.mark.parametrize(("name", "abbreviation"), [("Pacific/Kiritimati", "+14"), ("UTC", "UTC")])
def test_a_budget_is_of_the_days_of_the_zone(install, name, abbreviation):
    """Fourteen hours ahead, which is another day than in UTC for most of it."""
    zone = ZoneInfo(name)
    wait_past_midnight(zone, 60)  # within the time of the test
    airoxy = install(timezone=name)
    airoxy.token("sk-ant-api-test-one")
    airoxy.start()
    key = limited(airoxy, "--spend-per-day", dollars(COST), "--spend-per-month", dollars(9 * COST))
    assert ask(airoxy, key).status == 200
    told, wait = refused(ask(airoxy, key), "billing_error")
    assert f"00:00 {abbreviation}" in told
    assert abs(next_day(time.time(), zone) - time.time() - wait) < 30
    airoxy.wait_logs(2)
    (row,) = airoxy.json("stats", "--by", "day")
    assert row["day"] == datetime.now(zone).date().isoformat()
    shown = airoxy.json("api-key", "show", "1")
    assert shown["spent_today_nanousd"] == shown["spent_this_month_nanousd"] == COST


def test_a_token_of_the_pool_rests_until_midnight_of_the_zone(install):
    zone = ZoneInfo("Pacific/Kiritimati")
    wait_past_midnight(zone, 60)  # within the time of the test
    airoxy = install(timezone=zone.key)
    airoxy.token("sk-ant-api-test-one")
    airoxy.cli("token", "set", "1", "--spend-per-month", dollars(COST))
    airoxy.start()
    key = airoxy.key()
    status = 200
    while status == 200:  # what the first has cost is counted when it has ended
        asked = time.time()
        answer = ask(airoxy, key)
        status = answer.status
    assert status == 429
    over = next_month(asked, zone)
    assert over - time.time() <= int(answer.headers["retry-after"]) < over - asked + 1
