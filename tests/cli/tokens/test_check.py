"""Tokens that Anthropic is asked about."""

from __future__ import annotations

import json

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

KEY, SECOND = "sk-ant-api-test-one-0001", "sk-ant-api-test-two-0002"
OAUTH, REFRESH = "sk-ant-oat-test-one-0001", "sk-ant-ort-test-one-0001"
MODELS = "/v1/models"


@pytest.fixture
def airoxy(install) -> Airoxy:
    """Set up, but no server runs."""
    return install()


def refuse(upstream: FakeAnthropic, status: int, kind: str, message: str) -> None:
    error = {"type": "error", "error": {"type": kind, "message": message}}
    upstream.script(path=MODELS).json(error, status)


def test_a_good_token_is_added_with_what_was_found(airoxy, upstream):
    done = airoxy.run("token", "add", "console", KEY)
    assert done.returncode == 0
    assert "Anthropic accepts it" in done.stderr
    (seen,) = [each for each in upstream.requests if each.path == MODELS]
    assert seen.all("x-api-key") == [KEY]
    assert seen.all("authorization") == []


def test_a_login_is_asked_with_as_claude_code_does(airoxy, upstream):
    airoxy.cli("token", "add", OAUTH, REFRESH)
    (seen,) = [each for each in upstream.requests if each.path == MODELS]
    assert seen.all("authorization") == [f"Bearer {OAUTH}"]
    assert "oauth-2025-04-20" in seen.all("anthropic-beta")[0]
    assert airoxy.json("token", "list")[0]["name"] == "subscription"


def test_a_dead_token_is_only_added_unchecked(airoxy, upstream):
    refuse(upstream, 401, "authentication_error", f"invalid x-api-key {KEY}")
    done = airoxy.run("token", "add", "console", KEY)
    assert done.returncode == 1
    assert "401: invalid x-api-key" in done.stderr
    assert "--no-check" in done.stderr
    assert KEY not in done.stderr
    assert airoxy.json("token", "list") == []
    airoxy.cli("token", "add", "console", KEY, "--no-check")
    assert len([each for each in upstream.requests if each.path == MODELS]) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "rate limited"), (402, "402: no money"), (500, "500"), (529, "529")],
)
def test_a_token_that_may_be_good_is_added_with_a_warning(airoxy, upstream, status, words):
    refuse(upstream, status, "some_error", "no money")
    done = airoxy.run("token", "add", "console", KEY)
    assert done.returncode == 0
    assert "Warning: " in done.stderr
    assert words in done.stderr
    assert len(airoxy.json("token", "list")) == 1


def test_an_upstream_out_of_reach_keeps_nobody_from_adding(install):
    airoxy = install(upstream={"url": "http://127.0.0.1:9"})
    done = airoxy.run("token", "add", "console", KEY)
    assert done.returncode == 0
    assert "Warning: " in done.stderr


def test_an_admin_key_is_refused_with_the_reason(airoxy, upstream):
    done = airoxy.run("token", "add", "console", "sk-ant-admin01-test-one")
    assert (done.returncode, "Admin API key" in done.stderr) == (2, True)
    assert not upstream.requests


def test_tokens_are_checked_later_one_or_all(airoxy, upstream):
    for name, secret in (("one", KEY), ("two", SECOND)):
        airoxy.cli("token", "add", name, secret, "--no-check")
    assert airoxy.cli("token", "check").count(": good; Anthropic accepts it") == 2
    refuse(upstream, 401, "authentication_error", "invalid x-api-key")
    told = json.loads(airoxy.cli("token", "check", "two", "--json", status=1))
    assert [(each["name"], each["state"]) for each in told] == [("two", "refused")]
    assert airoxy.json("token", "list")[1]["is_active"]


def test_a_token_without_its_key_is_told(airoxy, tmp_path):
    airoxy.cli("token", "add", "one", KEY, "--no-check")
    airoxy.database.with_name("token.key").unlink()
    assert "cannot be decrypted" in airoxy.cli("token", "check", status=1)


def test_a_name_is_made_up_where_none_is_given(airoxy):
    for secret in (KEY, SECOND):
        airoxy.cli("token", "add", secret, "--no-check")
    assert [row["name"] for row in airoxy.json("token", "list")] == ["console", "console-2"]
