"""What a refresh asks for and what its answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airoxy.core import oauth
from airoxy.core.oauth import Refreshed, Refused, Unavailable

NOW = 1_000_000.0
SENT = "sk-ant-ort-test-sent"
PAIR = {
    "access_token": "sk-ant-oat-test-new",
    "refresh_token": "sk-ant-ort-test-new",
    "expires_in": 28800,
}


def read(status: int, document: Any, retry_after: str | None = None) -> oauth.Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return oauth.read_answer(status, body, retry_after, SENT, NOW)


@pytest.mark.parametrize(
    ("expires_at", "due"),
    [(None, False), (0, True), (999_999, True), (1_000_300, True), (1_000_301, False)],
)
def test_a_token_is_due_a_little_before_it_expires(expires_at: int | None, due: bool) -> None:
    assert oauth.due(expires_at, NOW) == due


def test_the_pause_grows_to_an_hour() -> None:
    assert [oauth.pause(n) for n in (0, 1, 2, 3, 6, 7, 8, 10_000)] == [
        60, 60, 120, 240, 1920, 3600, 3600, 3600,
    ]  # fmt: skip


def test_the_request_is_what_anthropic_documents() -> None:
    assert oauth.payload("client", "user:profile user:inference", SENT) == {
        "grant_type": "refresh_token",
        "refresh_token": SENT,
        "client_id": "client",
        "scope": "user:profile user:inference",
    }


def test_a_new_pair() -> None:
    answer = read(200, PAIR)
    assert answer == Refreshed("sk-ant-oat-test-new", "sk-ant-ort-test-new", 1_028_800)
    assert "test-new" not in repr(answer)


def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    answer = read(200, {"access_token": "sk-ant-oat-test-new", "expires_in": 60})
    assert answer == Refreshed("sk-ant-oat-test-new", SENT, 1_000_060)


@pytest.mark.parametrize("life", [None, "soon", -1, 0, [], {}, "NaN", 1e400])
def test_a_pair_is_not_thrown_away_for_an_odd_life(life: Any) -> None:
    assert read(200, PAIR | {"expires_in": life}) == Refreshed(
        "sk-ant-oat-test-new", "sk-ant-ort-test-new", 1_028_800
    )


def test_a_life_may_be_text_and_is_no_more_than_a_year() -> None:
    assert read(200, PAIR | {"expires_in": "60"}).expires_at == 1_000_060  # type: ignore[union-attr]
    longest = read(200, PAIR | {"expires_in": 10**300})
    assert isinstance(longest, Refreshed)
    assert longest.expires_at == NOW + 366 * 86_400


@pytest.mark.parametrize(
    "document",
    [
        b"", b"<html>", b"[]", b"null", b"{", b"[" * 100_000, {}, {"access_token": None},
        {"access_token": ""}, {"access_token": 5}, {"access_token": "a b c d e f g h"},
        {"access_token": "line\nbreak\n"}, {"access_token": "ünïcödeünïcöde"},
        PAIR | {"refresh_token": None}, PAIR | {"refresh_token": ["x"]},
    ],
)  # fmt: skip
def test_a_200_without_a_usable_pair_is_neither_yes_nor_no(document: Any) -> None:
    assert isinstance(read(200, document), Unavailable)


@pytest.mark.parametrize(
    ("status", "document", "reason", "final"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"},
            "HTTP 400 invalid_grant (Refresh token not found or invalid)",
            True,
        ),
        (400, {"error": "invalid_request"}, "HTTP 400 invalid_request", False),
        (401, {"error": "invalid_client"}, "HTTP 401 invalid_client", False),
        (
            403,
            {"type": "error", "error": {"type": "unauthorized_client", "message": "Not\n allowed"}},
            "HTTP 403 unauthorized_client (Not allowed)",
            False,
        ),
    ],
)
def test_a_refusal_is_told_with_its_reason(
    status: int, document: Any, reason: str, final: bool
) -> None:
    assert read(status, document) == Refused(f"the OAuth endpoint answered {reason}", final)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
@pytest.mark.parametrize(
    "document",
    [
        b"<html>nonsense</html>", b"", b"[]", b'"invalid_grant"', {"error": "Forbidden"},
        {"error": "not a code!", "error_description": "invalid_grant"},
        {"error": {"type": 5, "message": []}}, {"message": "invalid_grant"},
        {"type": "error", "error": {"type": "permission_error", "message": "Not allowed"}},
        {"error": ["invalid_grant"]},
    ],
)  # fmt: skip
def test_only_an_oauth_error_code_speaks_of_the_token(status: int, document: Any) -> None:
    assert isinstance(read(status, document), Unavailable)


@pytest.mark.parametrize("status", [100, 204, 302, 408, 425, 429, 500, 502, 503, 529])
def test_what_is_no_refusal_is_unavailable(status: int) -> None:
    answer = read(status, {"error": "invalid_grant"}, "30")
    assert isinstance(answer, Unavailable)
    assert f"HTTP {status}" in answer.reason
    assert answer.retry_after == 30


def test_an_unavailable_endpoint_need_not_say_for_how_long() -> None:
    assert read(500, b"") == Unavailable("the OAuth endpoint answered HTTP 500", None)


@pytest.mark.parametrize(
    "echo",
    [
        f"refresh token {SENT} is spent",
        f"{SENT}",
        "token sk-ant-oat-test-of-somebody-else!",
        "x" * 195 + " sk-ant-oat-test-at-the-end",
        "a\0sk-ant-ort-test\x1b[31m",
    ],
)
def test_no_secret_that_is_echoed_gets_into_a_reason(echo: str) -> None:
    for document in (
        {"error": "invalid_grant", "error_description": echo},
        {"error": {"type": echo, "message": echo}},
    ):
        answer = read(400, document)
        assert isinstance(answer, Refused | Unavailable)
        assert "test" not in answer.reason.replace("test-of", "")
        assert answer.reason.isprintable()
        assert len(answer.reason) < 250


def test_a_secret_of_another_form_is_cut_out_too() -> None:
    assert oauth.clean("the secret is s3cr3t, yes", "s3cr3t", "") == "the secret is …, yes"
    assert oauth.clean("x" * 500) == "x" * 199 + "…"
