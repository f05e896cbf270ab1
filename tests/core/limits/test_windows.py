"""Limits of money as headers."""

from __future__ import annotations

import datetime
import math

import pytest

from airoxy.core.limits.table import Limits
from airoxy.core.limits.windows import headers, windows, without_account
from tests.conftest import NOON

SPENT = {"day": 80, "week": 80, "month": 96, "total": 500}
P = "anthropic-ratelimit-unified-"


def told(*limits: Limits) -> dict[str, str]:
    found = [each for one in limits for each in windows(one, SPENT, NOON, datetime.UTC)]
    pairs = headers(found)
    assert len(dict(pairs)) == len(pairs)
    return {name.decode().removeprefix(P): value.decode() for name, value in pairs}


def test_each_limit_is_a_window_and_the_nearest_is_the_representative() -> None:
    found = told(Limits(spend_per_day=160, spend_per_month=100))
    assert found["day-utilization"] == found["5h-utilization"] == "0.5"
    assert found["month-utilization"] == found["7d-utilization"] == "0.96"
    assert found["5h-status"] == "allowed"
    assert found["7d-status"] == found["status"] == "allowed_warning"
    assert found["7d-surpassed-threshold"] == "0.95"
    assert "5h-surpassed-threshold" not in found
    assert found["representative-claim"] == "seven_day"
    assert found["reset"] == found["month-reset"] == found["7d-reset"]
    assert int(found["day-reset"]) == (NOON // 86_400 + 1) * 86_400


@pytest.mark.parametrize(
    ("most", "status", "threshold"),
    [
        (107, "allowed", None),
        (106, "allowed_warning", "0.75"),
        (84, "allowed_warning", "0.95"),
        (80, "rejected", "1"),
        (0, "rejected", "1"),
    ],
)
def test_there_are_warnings_at_three_quarters_and_near_the_end(most, status, threshold) -> None:
    found = told(Limits(spend_per_day=most))
    assert found["status"] == found["day-status"] == status
    assert found.get("5h-surpassed-threshold") == threshold


def test_of_two_holders_the_one_that_is_nearer_counts() -> None:
    found = told(Limits(spend_per_day=800), Limits(spend_per_day=100, spend_per_week=1000))
    assert (found["day-utilization"], found["week-utilization"]) == ("0.8", "0.08")
    assert found["7d-utilization"] == "0.08"


def test_a_limit_in_total_has_no_reset() -> None:
    found = told(Limits(spend_total=1000))
    assert found["total-utilization"] == found["7d-utilization"] == "0.5"
    assert not any("reset" in name for name in found)
    assert windows(Limits(spend_total=1), SPENT, NOON, datetime.UTC)[0].ends == math.inf


def test_without_a_limit_of_money_nothing_is_told() -> None:
    assert told(Limits(requests_per_minute=5)) == {}


def test_what_is_said_of_the_account_is_cut_out() -> None:
    passed = [
        (b"request-id", b"req_1"),
        (b"anthropic-ratelimit-unified-5h-utilization", b"0.5"),
        (b"anthropic-ratelimit-requests-limit", b"5"),
        (b"anthropic-organization-id", b"org"),
    ]
    assert without_account(passed, organisation=True) == [passed[0], passed[2]]
    assert without_account(passed, organisation=False) == [passed[0], passed[2], passed[3]]
