import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.core.limits.measures import MINUTE, SOON, Use, wait_of
from airoxy.core.limits.refusal import refusal
from airoxy.core.limits.table import Limits
from tests.conftest import NOON

DOLLAR = 10**9
MIDNIGHT, DECEMBER = NOON + 12 * 3600, NOON + 8 * 86400 + 12 * 3600


def spent(day: int, month: int) -> dict[str, int]:
    return {"day": day, "week": day, "month": month}


def minute(*last: int) -> list[int]:
    """Counts by second, of which only the `last` are not 0."""
    return [0] * (MINUTE - len(last)) + list(last)


def test_what_is_below_every_limit_goes_through():
    limits = Limits(
        spend_per_day=DOLLAR,
        spend_per_week=2 * DOLLAR,
        spend_per_month=2 * DOLLAR,
        requests_per_minute=3,
        tokens_per_minute=100,
        concurrent_requests=2,
    )
    use = Use(spent(DOLLAR - 2, DOLLAR), 1, minute(1, 1), minute(90), 9, 1)
    assert refusal(limits, use, NOON, costs=True) is None


def test_no_limit_is_never_reached():
    use = Use(spent(10**15, 10**15), 10**15, minute(10**6), minute(10**9), 10**9, 10**6)
    assert refusal(Limits(), use, NOON, costs=True) is None


def test_what_was_spent_today_opens_at_midnight():
    refused = refusal(Limits(DOLLAR), Use(spent(DOLLAR, DOLLAR)), NOON, costs=True)
    assert refused is not None
    assert (refused.until, refused.spent, refused.final) == (MIDNIGHT, True, True)
    assert "$1.00 per day" in refused.message
    assert "2026-11-23 00:00 UTC" in refused.message


def test_what_was_spent_this_month_opens_with_the_next():
    limits = Limits(spend_per_day=DOLLAR, spend_per_month=DOLLAR)
    refused = refusal(limits, Use(spent(DOLLAR, DOLLAR)), NOON, costs=True)
    assert refused is not None
    assert refused.until == DECEMBER
    assert "per month; it opens again at 2026-12-01 00:00 UTC" in refused.message


def test_what_was_spent_this_week_opens_on_monday():
    # It is a Sunday.
    use = Use({"day": 0, "week": DOLLAR, "month": DOLLAR})
    refused = refusal(Limits(spend_per_week=DOLLAR), use, NOON, costs=True)
    assert refused is not None
    assert (refused.until, refused.final) == (MIDNIGHT, True)
    assert "$1.00 per week; it opens again at 2026-11-23 00:00 UTC" in refused.message
    refused = refusal(Limits(spend_per_week=DOLLAR), use, MIDNIGHT, costs=True)
    assert refused is not None
    assert refused.until == MIDNIGHT + 7 * 86400


def test_what_is_only_held_may_open_soon():
    refused = refusal(Limits(DOLLAR), Use(spent(1, 1), DOLLAR - 1), NOON, costs=True)
    assert refused is not None
    assert (refused.until, refused.spent, refused.final) == (NOON + SOON, True, False)


def test_spending_does_not_hold_up_what_costs_nothing():
    limits = Limits(spend_per_day=DOLLAR, spend_per_month=DOLLAR, tokens_per_minute=1)
    use = Use(spent(DOLLAR, DOLLAR), tokens=minute(1))
    assert refusal(limits, use, NOON, costs=False) is None
    assert refusal(Limits(requests_per_minute=1), Use({}, requests=minute(1)), NOON, costs=False)


@pytest.mark.parametrize(
    ("counts", "wait"),
    [
        (minute(3), 60),
        (minute(3, 0), 59),
        ([3, *minute()[1:]], 1),
        ([1, *minute(2)[1:]], 1),
        (minute(1, 5), 60),
        (minute(4, 1, 1), 58),
    ],
)
def test_a_rate_opens_when_enough_of_it_is_a_minute_old(counts, wait):
    refused = refusal(Limits(requests_per_minute=3), Use({}, requests=counts), NOON, costs=False)
    assert refused is not None
    assert wait_of(refused.until, NOON) == wait
    assert not refused.spent
    assert not refused.final
    assert f"in {wait} second{'' if wait == 1 else 's'}." in refused.message


def test_within_a_second_the_wait_is_rounded_up():
    use = Use({}, requests=[1, *minute()[1:]])
    refused = refusal(Limits(requests_per_minute=1), use, NOON + 0.25, costs=False)
    assert refused is not None
    assert refused.until == NOON + 1
    assert wait_of(refused.until, NOON + 0.25) == 1


def test_tokens_that_are_held_count_with_those_of_the_minute():
    limits = Limits(tokens_per_minute=100)
    assert refusal(limits, Use({}, tokens=minute(60), tokens_held=39), NOON, costs=True) is None
    refused = refusal(limits, Use({}, tokens=minute(60, 0), tokens_held=40), NOON, costs=True)
    assert refused is not None
    assert refused.until == NOON + 59
    refused = refusal(limits, Use({}, tokens=minute(), tokens_held=100), NOON, costs=True)
    assert refused is not None
    assert refused.until == NOON + SOON


def test_running_requests_are_in_the_way_until_one_ends():
    refused = refusal(Limits(concurrent_requests=2), Use({}, running=2), NOON, costs=False)
    assert refused is not None
    assert refused.until == NOON + SOON
    assert "2 concurrent requests" in refused.message


def test_of_several_limits_the_one_that_opens_last_is_told():
    limits = Limits(spend_per_day=DOLLAR, requests_per_minute=1, concurrent_requests=1)
    use = Use(spent(DOLLAR, DOLLAR), requests=minute(1), running=1)
    refused = refusal(limits, use, NOON, costs=True)
    assert refused is not None
    assert refused.spent
    refused = refusal(limits, use, NOON, costs=False)
    assert refused is not None
    assert refused.until == NOON + 60


# Bursts


@settings(max_examples=200)
@given(st.data())
def test_however_they_come_and_go_a_limit_is_passed_by_one_request_at_the_most(data):
    """What is held is an upper estimate, and what is counted is exact."""
    limit = data.draw(st.integers(1, 100))
    running: list[tuple[int, int]] = []  # held, and what it will have cost
    spent = held = dearest = 0
    for _ in range(data.draw(st.integers(1, 40))):
        if running and data.draw(st.booleans()):
            estimate, cost = running.pop(data.draw(st.integers(0, len(running) - 1)))
            held, spent = held - estimate, spent + cost
            continue
        estimate = data.draw(st.integers(0, 60))
        cost = data.draw(st.integers(0, estimate))
        use = Use(
            dict.fromkeys(("day", "week", "month"), spent),
            held,
            minute(),
            minute(spent),
            held,
            len(running),
        )
        for limits in (
            Limits(spend_per_day=limit),
            Limits(spend_per_week=limit),
            Limits(spend_per_month=limit),
            Limits(tokens_per_minute=limit),
        ):
            refused = refusal(limits, use, NOON, costs=True)
            assert bool(refused) == (spent + held >= limit)
        if spent + held < limit:
            running.append((estimate, cost))
            held += estimate
            dearest = max(dearest, cost)
        assert spent + sum(cost for _, cost in running) < limit + dearest


@given(
    st.lists(st.integers(0, 5), min_size=MINUTE, max_size=MINUTE),
    st.integers(1, 20),
    st.floats(0, 0.999),
)
def test_who_waits_as_told_gets_through_and_not_before(counts, most, fraction):
    limits, now = Limits(requests_per_minute=most), NOON + fraction
    refused = refusal(limits, Use({}, requests=counts), now, costs=False)
    assert bool(refused) == (sum(counts) >= most)
    if not refused:
        return

    def after(seconds: int) -> list[int]:
        return (counts + [0] * seconds)[seconds:]

    gone = int(refused.until - NOON)
    assert refusal(limits, Use({}, requests=after(gone)), refused.until, costs=False) is None
    assert refusal(limits, Use({}, requests=after(gone - 1)), refused.until - 1, costs=False)
