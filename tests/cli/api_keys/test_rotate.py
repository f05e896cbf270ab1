"""`airoxy api-key rotate`: from a terminal, and seen by clients."""

from __future__ import annotations

import re
import time

import pytest

from tests.program import Airoxy, unix

DAY = 86400


@pytest.fixture
def typed(install) -> Airoxy:
    """An airoxy whose server does not run."""
    return install()


def test_both_secrets_are_good_until_the_overlap_ends(airoxy: Airoxy) -> None:
    airoxy.token("sk-ant-api-test", name="pool")
    old = airoxy.key("laptop")

    def status(key: str) -> int:
        return airoxy.request("GET", "/v1/models", key=key).status

    new = airoxy.json("api-key", "rotate", "laptop")["key"]
    assert (status(old), status(new)) == (200, 200)
    airoxy.cli("api-key", "disable", "laptop")
    assert (status(old), status(new)) == (401, 401)
    airoxy.cli("api-key", "enable", "laptop")
    assert (status(old), status(new)) == (200, 200)
    airoxy.cli("api-key", "rotate", "laptop", "--finish")
    assert (status(old), status(new)) == (401, 200)
    newest = airoxy.json("api-key", "rotate", "laptop", "--overlap", "0")["key"]
    assert (status(old), status(new), status(newest)) == (401, 401, 200)
    assert {row["api_key_id"] for row in airoxy.wait_logs(6)} == {1}


def test_the_client_is_told_that_its_key_was_replaced(airoxy: Airoxy) -> None:
    old = airoxy.key("laptop")
    airoxy.cli("api-key", "rotate", "laptop", "--overlap", "0")
    answer = airoxy.request("GET", "/v1/models", key=old)
    assert answer.status == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert "was replaced by a new one" in answer.json()["error"]["message"]


def test_a_person_is_told_the_new_secret_and_the_end_of_the_old(typed: Airoxy) -> None:
    old = typed.key("laptop")
    told = typed.cli("api-key", "rotate", "laptop")
    new = re.search(r"^    (ak-[A-Za-z0-9]{40})$", told, re.MULTILINE)
    assert new
    assert f"export ANTHROPIC_AUTH_TOKEN={new[1]}" in told
    assert re.search(rf"{old[:8]}….{{4}} until \d{{4}}-\d\d-\d\d \d\d:\d\d UTC \(1d\)", told)
    assert old not in told


@pytest.mark.parametrize(
    ("typed_overlap", "seconds"),
    [((), DAY), (("--overlap", "2h"), 7200), (("--overlap", "7d"), 7 * DAY)],
)
def test_the_overlap_is_a_day_or_what_is_said(typed: Airoxy, typed_overlap, seconds) -> None:
    typed.key("laptop")
    ((old,), before) = (
        typed.json("api-key", "rotate", "laptop", *typed_overlap)["old_secrets"],
        time.time(),
    )
    assert before + seconds - 60 < unix(old["until"]) <= before + seconds


def test_list_and_show_say_that_an_old_secret_is_good(typed: Airoxy) -> None:
    typed.key("laptop")
    assert typed.json("api-key", "show", "laptop")["old_secrets"] == []
    typed.cli("api-key", "rotate", "laptop")
    assert re.search(r"active, old secret until \d{4}-", typed.cli("api-key", "list"))
    assert re.search(
        r"old secret +ak-.{5}….{4} until \d{4}-", typed.cli("api-key", "show", "laptop")
    )
    assert len(typed.json("api-key", "list")[0]["old_secrets"]) == 1
    typed.cli("api-key", "rotate", "laptop", "--finish")
    assert "old secret" not in typed.cli("api-key", "list")
    assert typed.json("api-key", "list")[0]["old_secrets"] == []


def test_a_secret_of_another_host_is_taken_on_standard_input(typed: Airoxy, install) -> None:
    typed.key("laptop")
    key = install().key("laptop")
    assert typed.json("api-key", "rotate", "laptop", "--stdin", stdin=f"{key}\n")["key"] == key
    refused = typed.run("api-key", "rotate", "laptop", "--stdin", stdin="ak-short\n")
    assert "40 letters and digits" in refused.stderr


def test_a_disabled_key_stays_disabled_and_that_is_said(typed: Airoxy) -> None:
    typed.key("laptop")
    typed.cli("api-key", "disable", "laptop")
    assert "is disabled" in typed.run("api-key", "rotate", "laptop").stderr
    assert not typed.json("api-key", "show", "laptop")["is_active"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody",), "There is no key nobody"),
        (("laptop", "--overlap", "soon"), "a length of time looks like"),
        (("laptop", "--overlap", "366d"), "a year"),
        (("laptop", "--overlap", "-1"), "--overlap"),
        (("laptop", "--finish", "--stdin"), "not allowed with"),
        (("laptop", "ak-" + "x" * 40), "ak-…"),
    ],
)
def test_what_is_typed_wrong_changes_nothing(typed: Airoxy, words, told) -> None:
    typed.key("laptop")
    before = typed.json("api-key", "list")
    done = typed.run("api-key", "rotate", *words)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert typed.json("api-key", "list") == before
