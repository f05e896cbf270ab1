"""What the holder of a key learns of it, with the key alone."""

from __future__ import annotations

import contextlib

import pytest

from airoxy.store import groups
from airoxy.store.schema import open_database
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, unix
from tests.server.limits.asking import COST, ask, dollars, limited, set_

ONE = "sk-ant-api-test-one"


@pytest.fixture
def site(install) -> Airoxy:
    airoxy = install()
    airoxy.token(ONE, name="one")
    return airoxy.start()


def usage(airoxy: Airoxy, key: str, path: str = "/usage", **headers: str) -> dict:
    answer = airoxy.request("GET", path, headers=headers, key=key)
    assert answer.status == 200, answer
    return answer.json()


def test_a_key_hears_of_its_own_use_even_when_its_money_is_spent(
    site: Airoxy, upstream: FakeAnthropic
) -> None:
    key = limited(site, "--spend-per-day", dollars(COST), "--models", "claude-opus-*")
    other = site.key("other")
    assert ask(site, key).status == ask(site, other).status == 200
    assert ask(site, key).status == 429
    upstream.script().status(400)
    ask(site, other)
    site.wait_logs(4)
    told = usage(site, key)
    assert (told["state"], told["models"]) == ("active", ["claude-opus-*"])
    assert told["spent_today_nanousd"] == told["spent_this_month_nanousd"] == COST
    (limit,) = told["limits"]
    assert (limit["limit"], limit["of"]) == ("spend_per_day_nanousd", "key")
    assert (limit["most"], limit["used"], limit["used_share"]) == (COST, COST, 1)
    assert unix(limit["opens_at"]) % 86_400 == 0
    (day,) = (each for each in told["days"] if each["model"])
    assert (day["model"], day["successful"], day["cost_nanousd"]) == ("claude-opus-5-5", 1, COST)
    (error,) = told["errors"]
    assert error["status_code"] == 429
    assert error["request_id"]
    assert unix(error["requested_at"]) > 0
    assert other not in str(told)
    assert "sk-ant" not in str(told)


def test_of_a_group_only_the_share_is_told(site: Airoxy) -> None:
    key = site.key()
    with contextlib.closing(open_database(site.database)) as db:
        groups.set_group(db, 1, {"spend_per_month_nanousd": 4 * COST})
    assert ask(site, site.key("other")).status == 200
    site.wait_logs(1)
    (limit,) = usage(site, key)["limits"]
    assert (limit["of"], limit["most"], limit["used"]) == ("everybody", None, None)
    assert limit["used_share"] == 0.25


def test_either_header_has_the_key_and_a_wrong_one_is_refused(site: Airoxy) -> None:
    key = site.key()
    bearer = site.request("GET", "/usage", headers={"authorization": f"Bearer {key}"})
    assert bearer.status == 200
    for wrong in ("ak-" + "x" * 40, None):
        for path in ("/usage", "/key/info"):
            refused = site.request("GET", path, key=wrong)
            assert refused.status == 401
            assert refused.json()["error"]["type"] == "authentication_error"


def test_a_key_that_is_for_other_networks_is_refused(site: Airoxy) -> None:
    key = limited(site)
    set_(site, "--from", "192.0.2.0/24")
    assert site.request("GET", "/usage", key=key).status == 403


def test_programs_for_litellm_read_the_same(site: Airoxy) -> None:
    key = limited(
        site, "--spend-per-month", dollars(2 * COST), "--requests-per-minute", "7",
    )  # fmt: skip
    assert ask(site, key).status == 200
    site.wait_logs(1)
    told = usage(site, key, "/key/info")
    info = told["info"]
    assert info["spend"] == pytest.approx(COST / 1e9)
    assert info["max_budget"] == pytest.approx(2 * COST / 1e9)
    assert (info["budget_duration"], info["rpm_limit"]) == ("1mo", 7)
    assert info["budget_reset_at"] == usage(site, key)["limits"][0]["opens_at"]
    assert (info["blocked"], info["models"]) == (False, [])
    assert key not in str(told)


def test_a_key_without_limits_has_its_month(site: Airoxy) -> None:
    key = site.key()
    assert ask(site, key).status == 200
    site.wait_logs(1)
    assert usage(site, key)["limits"] == []
    info = usage(site, key, "/key/info")["info"]
    assert (info["spend"], info["max_budget"]) == (pytest.approx(COST / 1e9), None)
