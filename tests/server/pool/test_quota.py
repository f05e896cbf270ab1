"""Quota windows of subscription tokens: read from answers, shown, and spared in time."""

from __future__ import annotations

import re
import time

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, unix
from tests.server.pool.pooled import ONE, ask, listed

FULL, HALF = "sk-ant-oat-test-full", "sk-ant-oat-test-half"
SESSION = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}


def start(install, upstream: FakeAnthropic, **settings) -> tuple[Airoxy, str]:
    airoxy = install(**settings).start()
    for name, secret in (("full", FULL), ("half", HALF)):
        airoxy.token(secret, secret.replace("oat", "ort"), name=name)
    soon = int(time.time()) + 3600
    upstream.set_quota(FULL, five_hour=("allowed_warning", 0.97, soon))
    upstream.set_quota(HALF, five_hour=("allowed", 0.5, soon), seven_day=("allowed", 0.2, soon + 9))
    return airoxy, airoxy.key()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_token_that_is_nearly_used_up_is_left_while_another_is_ready(install, upstream, workers):
    airoxy, key = start(install, upstream, workers=workers)
    for _ in range(2):
        assert ask(airoxy, key).status == 200
    upstream.clear()
    for number in range(8):
        assert ask(airoxy, key, headers=SESSION if number % 2 else {}).status == 200
    assert set(upstream.tokens) == {HALF}
    airoxy.cli("token", "disable", "half")
    for number in range(4):
        assert ask(airoxy, key, headers=SESSION if number % 2 else {}).status == 200
    assert upstream.tokens[8:] == [FULL] * 4


def test_a_lower_priority_comes_before_what_is_nearly_used_up(install, upstream):
    airoxy, key = start(install, upstream)
    airoxy.token(ONE, name="paid")
    airoxy.cli("token", "set", "full", "--priority", "9")
    airoxy.cli("token", "disable", "half")
    ask(airoxy, key)
    assert ask(airoxy, key).status == 200
    assert upstream.tokens == [FULL, ONE]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_window_of_one_family_of_models_counts_for_that_family_alone(install, upstream, workers):
    airoxy, key = start(install, upstream, workers=workers)
    soon = int(time.time()) + 3600
    upstream.set_quota(
        FULL, five_hour=("allowed", 0.1, soon), seven_day_opus=("allowed", 0.99, soon)
    )
    for _ in range(2):
        assert ask(airoxy, key).status == 200
    upstream.clear()
    for number in range(8):
        assert ask(airoxy, key, headers=SESSION if number % 2 else {}).status == 200
    assert set(upstream.tokens) == {HALF}
    upstream.clear()
    for _ in range(4):
        assert ask(airoxy, key, model="claude-sonnet-5-5").status == 200
    assert upstream.tokens.count(FULL) == 2
    airoxy.cli("token", "disable", "half")
    assert ask(airoxy, key).status == 200
    airoxy.wait_logs(15)  # with the rows, what the answers have told is written
    shown = airoxy.cli("token", "show", "full")
    assert "quota 7d_opus" in shown
    assert "99% used" in shown


def test_leave_at_says_when(install, upstream):
    airoxy, key = start(install, upstream, oauth={"leave_at": 1})
    for _ in range(6):
        ask(airoxy, key)
    assert upstream.tokens == [FULL, HALF] * 3


def test_windows_are_shown_everywhere(install, upstream):
    airoxy, key = start(install, upstream)
    for _ in range(2):
        ask(airoxy, key)
    deadline = time.monotonic() + 60
    while not all(row["quota"] for row in listed(airoxy).values()):
        assert time.monotonic() < deadline
    (window,) = listed(airoxy)["full"]["quota"]
    assert (window["window"], window["used"]) == ("5h", 0.97)
    assert 3500 < unix(window["resets_at"]) - time.time() <= 3600
    assert "5h 97%" in airoxy.cli("token", "list")
    shown = airoxy.cli("token", "show", "half")
    assert re.search("50% used, resets in (5[0-9]m|1h)", shown)
    assert "quota 7d" in shown
    metrics = airoxy.request("GET", "/metrics").body.decode()
    assert 'airoxy_token_quota_used_ratio{token="full",window="5h"} 0.97' in metrics


def test_a_window_that_has_begun_anew_is_forgotten(install, upstream):
    airoxy, key = start(install, upstream)
    upstream.set_quota(FULL, five_hour=("allowed", 0.99, int(time.time()) - 5))
    for _ in range(6):
        ask(airoxy, key)
    assert upstream.tokens == [FULL, HALF] * 3
    assert listed(airoxy)["full"]["quota"] == []
