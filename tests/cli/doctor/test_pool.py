"""Faults of keys and tokens."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

from airoxy.cli.doctor.finding import FAIL, FIXED, WARN
from airoxy.core.pool import EVERYTHING
from airoxy.store import tokens
from airoxy.store.schema import open_database
from tests.cli.doctor.ward import Ward
from tests.fake_anthropic import FakeAnthropic
from tests.ports import free_port


def test_no_key_and_no_token_are_told_but_are_no_fault(ward: Ward) -> None:
    ward.sql("DELETE FROM api_keys")
    ward.sql("DELETE FROM tokens")
    found = ward.complaints()
    assert found["keys"].remedy == "sudo airoxy api-key add --name NAME"
    assert found["tokens"].remedy == "sudo airoxy token add --name NAME"
    assert {each.state for each in found.values()} == {WARN}


def test_keys_that_are_all_disabled_are_told(ward: Ward) -> None:
    ward.sql("UPDATE api_keys SET is_active = 0")
    assert "Every client key is disabled" in ward.complaints()["keys"].text


def test_keys_that_share_as_before_are_told_until_it_is_decided(ward: Ward) -> None:
    ward.sql("UPDATE api_keys SET share_resources = 'before'")
    found = ward.complaints()["keys"]
    assert found.state == WARN
    assert "from before 1.1" in found.text
    ward.sql("UPDATE api_keys SET share_resources = 'all'")
    assert ward.complaints() == {}


def login(ward: Ward, **given: Any) -> int:
    with closing(open_database(ward.database)) as db:
        return ward.token(db, "login", type="oauth", token="sk-ant-oat-test-old",
                          refresh_token="sk-ant-ort-test-old", **given)  # fmt: skip


def test_an_expired_token_is_refreshed(ward: Ward, upstream: FakeAnthropic) -> None:
    login(ward, expires_at=int(ward.now) - 7200)
    found = ward.complaints()["tokens"]
    assert (found.state, found.text) == (WARN, "Token 2 (login) expired 2h ago.")
    assert ward.complaints(fix=True)["tokens"].state == FIXED
    assert ward.complaints() == {}


def test_a_refresh_that_was_interrupted_is_told_while_the_token_serves(ward: Ward) -> None:
    number = login(ward, expires_at=int(ward.now) + 7200)
    ward.sql(f"UPDATE tokens SET refresh_asked_at = 1 WHERE id = {number}")
    found = ward.complaints()["tokens"]
    assert found.state == WARN
    assert re.fullmatch(
        r"The last refresh of token 2 \(login\) was interrupted, and may have spent its refresh"
        r" token; it serves for (2h|1h 59m)\.",
        found.text,
    )
    assert "refresh --id 2" in found.remedy


def test_an_expired_token_that_cannot_be_refreshed_is_told(
    ward: Ward, upstream: FakeAnthropic
) -> None:
    login(ward, expires_at=int(ward.now) - 60)
    ward.configure(oauth={"endpoint": f"http://127.0.0.1:{free_port()}/token"})
    found = ward.complaints(fix=True)["tokens"]
    assert found.state == WARN
    assert "Could not be repaired" in found.remedy
    assert "sudo airoxy token refresh --id 2" in found.remedy


def test_a_token_whose_refresh_fails_is_told(ward: Ward) -> None:
    login(ward, expires_at=int(ward.now) + 3600)
    ward.sql("UPDATE tokens SET refresh_failures = 2 WHERE id = 2")
    assert "could not be refreshed 2 times in a row" in ward.complaints()["tokens"].text


def test_a_token_that_was_deactivated_is_told_with_the_reason(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        number = ward.token(db, "other")
        tokens.deactivate(db, number, "401 invalid x-api-key", "sk-ant-api-test-other", ward.now)
    assert "other) is not used any more: 401 invalid x-api-key." in ward.complaints()["tokens"].text


def test_a_token_that_somebody_disabled_is_in_order(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        tokens.toggle_token(db, ward.token(db, "other"), ward.now)
    assert ward.complaints() == {}


def test_tokens_of_which_none_can_be_used_are_a_fault(ward: Ward) -> None:
    ward.sql("UPDATE tokens SET is_active = 0")
    found = ward.complaints()["tokens"]
    assert (found.state, "None of the 1 tokens" in found.text) == (FAIL, True)


def test_tokens_that_are_all_cooling_are_told(ward: Ward) -> None:
    with closing(open_database(ward.database)) as db:
        tokens.cool(db, 1, EVERYTHING, ward.now + 600, "429", int(ward.now * 1e9))
    found = ward.complaints()["tokens"]
    assert (found.state, "the first is ready in 10m" in found.text) == (WARN, True)
