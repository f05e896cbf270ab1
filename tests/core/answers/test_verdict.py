"""The table of verdicts, row by row."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.answers.verdict import (
    ANSWER,
    NEXT,
    REFRESH,
    SPEND_LIMIT,
    Cooldown,
    Reply,
    Situation,
    Verdict,
    judge,
    needs_body,
)
from airoxy.core.pool import EVERYTHING, Scope, Token


def at(*moment: int) -> float:
    return datetime.datetime(*moment, tzinfo=datetime.UTC).timestamp()  # type: ignore[misc,arg-type]


NOW = at(2026, 11, 22, 12)
KEY = Token(1, "one", "api_key", "sk-ant-api-test-one", None, 0)
OAUTH = Token(2, "two", "oauth", "sk-ant-oat-test-two", int(NOW) + 60, 0)
SCOPE = Scope("messages", "claude-opus-4")
PHRASES = ("credit balance is too low", "reached your specified API usage limits", "been disabled")
WINDOW = b"anthropic-ratelimit-unified-"


def error(kind: str, message: str, **more: object) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message, **more}}
    ).encode()


def refused(message: str) -> bytes:
    return error("authentication_error", message)


def verdict(
    token: Token,
    status: int,
    body: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
    **now: Any,
) -> Verdict:
    situation = Situation(now.pop("scope", SCOPE), now.pop("path", "/v1/messages"), **now)
    return judge(token, Reply(status, headers or {}, body), situation, NOW, PHRASES)


def cools(until: float, reason: str, scope: Scope = SCOPE) -> Verdict:
    return Verdict("next", cooldown=Cooldown(scope, until, reason))


SPEND = error("rate_limit_error", "spend", details={"error_code": SPEND_LIMIT})
DECEMBER = at(2026, 12, 1)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({b"retry-after": b"30"}, b"", cools(NOW + 30, "rate limited")),
        ({b"retry-after": b"86400"}, b"", cools(NOW + 6 * 3600, "rate limited")),
        ({b"retry-after": b"Sun, 22 Nov 2026 12:01:00 GMT"}, b"", cools(NOW + 60, "rate limited")),
        ({b"retry-after": b"soon"}, b"", NEXT),
        ({b"retry-after": b"0"}, b"", NEXT),
        ({}, error("rate_limit_error", "Error"), NEXT),
        ({}, SPEND, cools(DECEMBER, "spend limit reached", EVERYTHING)),
        ({b"retry-after": b"5"}, SPEND, cools(DECEMBER, "spend limit reached", EVERYTHING)),
        ({}, b'"enforced_spend_limit_reached', NEXT),
        ({}, b"<html>", NEXT),
    ],
)
def test_a_429_cools_as_its_headers_or_its_code_say(headers, body, expected):
    assert verdict(KEY, 429, body, headers) == expected


def unified(**windows: tuple[str, object]) -> dict[bytes, bytes]:
    headers = {}
    for name, (status, reset) in windows.items():
        window = WINDOW + name.removeprefix("w").encode()
        headers[window + b"-status"] = status.encode()
        headers[window + b"-reset"] = str(reset).encode()
    return headers


LIMIT = "subscription's limit reached"


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        (unified(w5h=("rejected", int(NOW) + 7999), w7d=("allowed", int(NOW) + 99999)), 7999),
        (unified(w5h=("rejected", int(NOW) + 100), w7d=("rejected", int(NOW) + 500)), 500),
        (unified(w5h=("rejected", "2026-11-22T13:00:00Z")), 3600),
        (unified(w7d=("rejected", int(NOW) + 30 * 86400)), 8 * 86400),
        (unified(w7d_opus=("rejected", int(NOW) + 600)), 600),
        (unified(w7d_sonnet=("rejected", int(NOW) + 600)), None),
        (unified(w5h=("rejected", int(NOW) - 5)), None),
        (unified(w5h=("rejected", "later")), None),
        (unified(w5h=("allowed_warning", int(NOW) + 5)), None),
        ({WINDOW + b"status": b"rejected", WINDOW + b"reset": b"%d" % (NOW + 50)}, 50),
    ],
)
def test_a_429_of_a_subscription_cools_until_the_latest_rejected_window_resets(headers, until):
    expected = NEXT if until is None else cools(NOW + until, LIMIT)
    assert verdict(OAUTH, 429, b"", headers) == expected


def test_a_conversation_waits_for_its_own_token_where_that_takes_seconds():
    short, long = {b"retry-after": b"5"}, {b"retry-after": b"6"}
    cooldown = Cooldown(SCOPE, NOW + 5, "rate limited")
    assert verdict(KEY, 429, b"", short, conversation=True) == Verdict("again", 5, cooldown)
    assert verdict(KEY, 429, b"", short) == Verdict("next", cooldown=cooldown)
    assert verdict(KEY, 429, b"", long, conversation=True) == cools(NOW + 6, "rate limited")


def test_an_overloaded_upstream_is_asked_three_times_with_growing_pauses():
    for conversation, then in ((True, "again"), (False, "next")):
        met = [verdict(KEY, 529, overloads=n, conversation=conversation) for n in range(3)]
        assert met == [Verdict(then, 0.5), Verdict(then, 1.0), ANSWER]


@pytest.mark.parametrize(
    "message",
    [
        "invalid x-api-key",
        "Invalid API key",
        "This API key has been revoked.",
        "API key is disabled",
        "OAuth token has expired. Please obtain a new token or refresh your existing token.",
        "OAuth token has been revoked",
        "Invalid bearer token",
        "Invalid authentication credentials",
    ],
)
def test_a_401_that_speaks_of_the_token_is_its_end_or_its_refresh(message):
    gone = Verdict("next", deactivate=f"Anthropic answered 401: {message}")
    assert verdict(KEY, 401, refused(message)) == gone
    assert verdict(OAUTH, 401, refused(message)) == REFRESH
    assert verdict(OAUTH, 401, refused(message), refreshed=True) == gone


CORS = "CORS requests must set 'anthropic-dangerous-direct-browser-access' header"
UNKNOWN = Verdict("next", unknown_refusal=True)


@pytest.mark.parametrize(
    ("token", "body", "situation", "expected"),
    [
        (KEY, refused(CORS), {"from_browser": True}, NEXT),
        (KEY, refused("CORS requests are not allowed for this Organization"), {}, NEXT),
        (KEY, refused("invalid x-api-key"), {"path": "/v1/organizations/me"}, NEXT),
        (OAUTH, refused("invalid x-api-key"), {"path": "/v1/messages/batches"}, NEXT),
        (OAUTH, refused("OAuth authentication is currently not supported."), {}, NEXT),
        (KEY, b"<html>401 Authorization Required</html>", {}, NEXT),
        (KEY, b"", {}, NEXT),
        (KEY, error("gateway_error", "invalid x-api-key"), {}, NEXT),
        (KEY, refused("The moon is in the wrong house."), {}, UNKNOWN),
        (OAUTH, refused("The moon is in the wrong house."), {}, UNKNOWN),
        (KEY, refused("The moon is in the wrong house."), {"from_browser": True}, NEXT),
    ],
)
def test_any_other_401_says_nothing_of_the_token(token, body, situation, expected):
    assert verdict(token, 401, body, **situation) == expected
    second = verdict(token, 401, body, refusals=1, **situation)
    assert (second.then, second.deactivate, second.cooldown) == ("answer", None, None)


ORGANISATION = "OAuth authentication is currently not allowed for this organization."


@pytest.mark.parametrize(
    ("body", "cooled"),
    [
        (error("permission_error", ORGANISATION), True),
        (error("permission_error", "Your organisation is suspended"), True),
        (error("permission_error", "Your organization may not use the model claude-x."), False),
        (error("permission_error", "Your account does not have access to this."), False),
        (error("forbidden", ORGANISATION), False),
        (b"<html>organization</html>", False),
    ],
)
def test_a_403_of_the_organisation_cools_everything_for_ten_minutes(body, cooled):
    found = verdict(OAUTH, 403, body)
    assert found.then == "next"
    assert (found.cooldown is not None) == cooled
    if found.cooldown:
        assert (found.cooldown.scope, found.cooldown.until) == (EVERYTHING, NOW + 600)


BALANCE = "Your credit balance is too low to access the Anthropic API."


@pytest.mark.parametrize(
    ("status", "message", "until"),
    [
        (400, BALANCE, NOW + 3600),
        (400, "This organization has been disabled.", NOW + 3600),
        (402, "Payment required", NOW + 3600),
        *(
            (
                400,
                "You have reached your specified API usage limits. You will regain access on"
                f" {on}.",
                until,
            )
            for on, until in (
                ("2026-12-01 at 00:00 UTC", DECEMBER),
                ("2026-12-01", DECEMBER),
                ("2026-12-01T06:30:00Z", DECEMBER + 6.5 * 3600),
                ("December 1, 2026", DECEMBER),
                ("1 December 2026 at 12:00", DECEMBER + 43200),
                ("2026-11-01", NOW + 3600),
                ("2026-13-45", NOW + 3600),
                ("9999-12-31", NOW + 3600),
                ("Foober 31, 2026", NOW + 3600),
            )
        ),
    ],
)
def test_an_account_that_cannot_pay_rests_until_the_date_it_names_or_an_hour(
    status, message, until
):
    found = verdict(KEY, status, error("invalid_request_error", message))
    assert found.then == "next"
    assert found.cooldown is not None
    assert (found.cooldown.scope, found.cooldown.until) == (EVERYTHING, until)


def test_a_402_without_a_readable_body_is_one_all_the_same():
    assert verdict(KEY, 402, b"<html>").cooldown is not None


def test_a_client_cannot_make_up_the_words_of_an_account_that_cannot_pay():
    body = error(
        "invalid_request_error", "credit balance is too low: Extra inputs are not permitted"
    )
    assert verdict(KEY, 400, body, said_by_client=lambda words: words in body.decode()) == ANSWER


@pytest.mark.parametrize("status", [200, 204, 302, 404, 409, 413, 418, 500, 502, 504, 600, 999])
def test_anything_else_is_the_clients_answer(status):
    assert verdict(KEY, status) == ANSWER
    assert verdict(OAUTH, status) == ANSWER


def test_any_other_400_is_the_clients_answer():
    for body in (b"", b"{", b"[" * 100_000, error("invalid_request_error", "model: nope")):
        assert verdict(KEY, 400, body) == ANSWER


@pytest.mark.parametrize(
    ("status", "headers", "needed"),
    [
        (429, {b"retry-after": b"3"}, False),
        (429, unified(w5h=("rejected", int(NOW) + 9)), False),
        (429, {}, True),
        (529, {}, False),
        (401, {}, True),
        (403, {}, True),
        (400, {}, True),
        (402, {}, True),
    ],
)
def test_a_verdict_waits_for_the_body_only_where_that_decides(status, headers, needed):
    assert needs_body(status, headers, SCOPE, NOW) == needed


# What Anthropic and what is in between answer to requests, whoever asks.
OF_REQUESTS = st.one_of(
    st.tuples(st.just(401), st.sampled_from([refused(CORS), b"<html>401</html>", b""])),
    st.tuples(st.sampled_from([200, 400, 404, 413, 500, 529, 600]), st.binary(max_size=20)),
    st.tuples(
        st.just(403), st.sampled_from([b"", error("permission_error", "No access to model x.")])
    ),
    st.tuples(st.just(429), st.sampled_from([b"", error("rate_limit_error", "Error")])),
    st.tuples(
        st.just(400),
        st.text(max_size=20).map(
            lambda text: error("invalid_request_error", f"{text}: not permitted")
        ),
    ),
)


@given(
    st.lists(st.tuples(OF_REQUESTS, st.booleans(), st.sampled_from([KEY, OAUTH])), max_size=40),
    st.sampled_from(["/v1/messages", "/v1/organizations/me", "/v1/messages/batches", "/v1/files"]),
)
def test_no_answer_to_a_request_leaves_a_healthy_token_unused(answers, path):
    refusals = dict.fromkeys((KEY.id, OAUTH.id), 0)
    for (status, body), conversation, token in answers:
        found = verdict(token, status, body, path=path, conversation=conversation)
        assert (found.cooldown, found.deactivate) == (None, None)
        refusals[token.id] += found.unknown_refusal
    assert not any(refusals.values())
