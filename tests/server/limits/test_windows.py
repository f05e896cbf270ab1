"""What answers tell clients of their limits of money, and of the upstream token's quota."""

from __future__ import annotations

import contextlib
import time

import pytest

from airoxy.store import groups
from airoxy.store.schema import open_database
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.limits.asking import COST, ask, dollars, limited, set_

UNIFIED = "anthropic-ratelimit-unified-"
ONE = "sk-ant-api-test-one"


@pytest.fixture
def quota(upstream: FakeAnthropic) -> None:
    soon = int(time.time()) + 3600
    upstream.set_quota(ONE, five_hour=("allowed", 0.2, soon), seven_day=("allowed", 0.1, soon))


def windows(answer) -> dict[str, str]:
    pairs = [(name.lower(), value) for name, value in answer.headers.items()]
    assert len(dict(pairs)) == len(pairs)
    return {name.removeprefix(UNIFIED): value for name, value in pairs if name.startswith(UNIFIED)}


@pytest.mark.usefixtures("quota")
def test_a_key_with_a_limit_of_money_hears_of_its_own_limit(airoxy: Airoxy) -> None:
    key = limited(airoxy, "--spend-per-month", dollars(4 * COST))
    found = [windows(ask(airoxy, key, stream=number == 2)) for number in range(4)]
    for number, each in enumerate(found):
        # While its row is written a request may count twice, and several rows are written at once.
        used = float(each["month-utilization"])
        assert number / 4 <= used <= 2 * number / 4
        state = "rejected" if used >= 1 else "allowed_warning" if used >= 0.75 else "allowed"
        assert each["status"] == state
    assert all("5h-utilization" not in each for each in found)
    airoxy.wait_logs(4)
    refused = ask(airoxy, key)
    assert refused.status == 429
    told = windows(refused)
    assert (told["status"], told["7d-utilization"]) == ("rejected", "1")
    assert 0 < int(told["reset"]) - time.time() < 32 * 86_400


@pytest.mark.usefixtures("quota")
def test_the_limit_of_a_group_counts_where_it_is_nearer(airoxy: Airoxy) -> None:
    key = limited(airoxy, "--spend-per-day", "100")
    with contextlib.closing(open_database(airoxy.database)) as db:
        groups.set_group(db, 1, {"spend_per_week_nanousd": 2 * COST})
    ask(airoxy, key)
    told = windows(ask(airoxy, key))
    assert told["week-utilization"] in ("0.5", "1")
    assert told["representative-claim"] == "seven_day"
    assert told["day-utilization"] == told["5h-utilization"]


@pytest.mark.usefixtures("quota")
def test_any_other_key_hears_of_the_upstream_token_as_it_comes(airoxy: Airoxy) -> None:
    for key in (airoxy.key(), limited(airoxy, "--requests-per-minute", "100")):
        answer = ask(airoxy, key)
        assert windows(answer)["5h-utilization"] == "0.2"
        assert answer.headers["anthropic-organization-id"]


@pytest.mark.usefixtures("quota")
def test_the_account_can_be_hidden_from_all(install, upstream) -> None:
    airoxy = install(hide_upstream_account=True)
    airoxy.token(ONE)
    airoxy.start()
    key = limited(airoxy)
    for stream in (False, True):
        answer = ask(airoxy, key, stream=stream)
        assert answer.status == 200
        assert windows(answer) == {}
        assert answer.headers["anthropic-organization-id"] is None
        assert answer.headers["request-id"]
    set_(airoxy, "--spend-per-day", "1")
    assert windows(ask(airoxy, key))["status"] == "allowed"
