"""The table of verdicts through the whole proxy, with one worker and with two: what the client
gets, which upstream tokens were asked, how they stand afterwards, and what the journal says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_anthropic.script import Script
from tests.program import Airoxy, unix
from tests.server.pool.pooled import ONE, THREE, TWO, ask, listed

CORS = "CORS requests must set 'anthropic-dangerous-direct-browser-access' header"
HTML = [("Content-Type", "text/html")]
ORGANISATION = "OAuth authentication is currently not allowed for this organization."
BALANCE = "Your credit balance is too low to access the Anthropic API."


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def pool(request: pytest.FixtureRequest, install: Any) -> tuple[Airoxy, str]:
    airoxy = install(workers=request.param).start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    return airoxy, airoxy.key()


def wait_journal(airoxy: Airoxy, words: str) -> str:
    """The line with these words, once it is there."""
    deadline = time.monotonic() + 60
    while not (lines := [line for line in airoxy.errors.splitlines() if words in line]):
        assert time.monotonic() < deadline, airoxy.errors
    assert len(lines) == 1, lines
    return lines[0]


def wait_cooling(airoxy: Airoxy, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not (coolings := listed(airoxy)[name]["coolings"]):
        assert time.monotonic() < deadline
    return coolings[0]


COOLING: list[tuple[Callable[[Script], object], str, str, float]] = [
    (lambda s: s.limit(retry_after=60), "messages", "claude-opus-5-5", 60),
    (lambda s: s.limit(retry_after=99999), "messages", "claude-opus-5-5", 6 * 3600),
    (lambda s: s.status(400, BALANCE), "*", "*", 3600),
    (lambda s: s.status(402, "Payment required"), "*", "*", 3600),
    (lambda s: s.status(403, ORGANISATION), "*", "*", 600),
]


@pytest.mark.parametrize(("scripted", "group", "model_class", "seconds"), COOLING)
def test_what_cools_a_token_is_one_line_with_its_request_and_holds_in_all_workers(
    pool, upstream, scripted, group, model_class, seconds
):
    airoxy, key = pool
    scripted(upstream.script(token=ONE))
    answer = ask(airoxy, key)
    assert (answer.status, answer.headers["x-airoxy-attempts"]) == (200, "2")
    for _ in range(6):
        ask(airoxy, key)
    assert upstream.tokens.count(ONE) == 1
    cooling = wait_cooling(airoxy, "one")
    assert (cooling["group"], cooling["model_class"]) == (group, model_class)
    assert seconds / 2 < unix(cooling["until"]) - time.time() <= seconds
    line = wait_journal(airoxy, "Token 1 (one) cools down for ")
    assert re.search(r" \[req_\d{24}\]$", line)


def test_a_dead_token_is_one_line_and_asked_no_more_by_any_worker(pool, upstream):
    airoxy, key = pool
    upstream.script(token=ONE, times=None).unauthorized()
    for _ in range(6):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens.count(ONE) == 1
    assert "invalid x-api-key" in wait_journal(airoxy, "Token 1 (one) is deactivated: ")


OF_THE_REQUEST: list[Callable[[Script], object]] = [
    lambda s: s.status(401, CORS),
    lambda s: s.status(401, "OAuth authentication is currently not supported."),
    lambda s: s.status(401, "Something new."),
    lambda s: s.answer(401, HTML, b"<html>401 Authorization Required</html>"),
    lambda s: s.raw(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"),
]


@pytest.mark.parametrize("scripted", OF_THE_REQUEST)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_401_about_the_request_is_the_clients_after_a_second_token(
    pool, upstream, scripted, stream
):
    airoxy, key = pool
    scripted(upstream.script(times=None))
    for _ in range(4):
        assert ask(airoxy, key, stream=stream).status == 401
    assert len(upstream.tokens) == 8
    upstream.clear()
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    rows = listed(airoxy).values()
    assert all(row["is_active"] and not row["coolings"] for row in rows)


def test_ten_refusals_in_unknown_words_and_no_success_between_deactivate(install, upstream):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    key = airoxy.key()
    unknown = upstream.script(token=ONE, times=None)
    unknown.status(401, "The moon is in the wrong house.")
    for _ in range(24):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens.count(ONE) == 10
    assert "10 times in a row" in wait_journal(airoxy, "Token 1 (one) is deactivated: ")


@pytest.mark.parametrize("status", [401, 403, 429, 529])
@pytest.mark.parametrize("body", ["cut", "stalled", "huge"])
def test_a_verdict_does_not_wait_for_the_body(install, upstream, status, body):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    key = airoxy.key()
    head = b"HTTP/1.1 %d Trouble\r\nretry-after: 60\r\ncontent-length: 1000000\r\n\r\n" % status
    if body == "huge":
        upstream.script(token=ONE).raw(head + b" " * 1_000_000)
    elif body == "cut":
        upstream.script(token=ONE).raw(head + b'{"type":')
    else:
        upstream.script(token=ONE).raw(head + b'{"type":', close=False)
    assert ask(airoxy, key).status == 200
    assert upstream.tokens == [ONE, TWO]


@pytest.mark.parametrize("event", ["event: error\n", ""], ids=["named", "unnamed"])
def test_a_stream_that_begins_with_an_overload_is_a_529(install, upstream, event):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    key = airoxy.key()
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    sse = f"{event}data: {json.dumps(error)}\n\n".encode()
    upstream.script().answer(200, [("Content-Type", "text/event-stream")], sse)
    answer = ask(airoxy, key, stream=True)
    assert (answer.status, answer.headers["x-airoxy-attempts"]) == (200, "2")
    assert b"message_stop" in answer.body
    assert upstream.tokens == [ONE, TWO]


def test_an_error_event_of_another_kind_is_the_clients(install, upstream):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    upstream.script().stream_error(after=0, kind="api_error")
    answer = ask(airoxy, airoxy.key(), stream=True)
    assert b"api_error" in answer.body
    assert upstream.tokens == [ONE]


@pytest.mark.parametrize("status", [299, 600, 799, 999])
def test_a_status_that_nobody_has_heard_of_passes_without_a_traceback(install, upstream, status):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    head = b"HTTP/1.1 %d What\r\ncontent-length: 2\r\n\r\n{}" % status
    upstream.script().raw(head)
    key = airoxy.key()
    assert ask(airoxy, key).status == status
    (row,) = airoxy.wait_logs(1)
    assert row["status_code"] == status
    assert airoxy.request("GET", "/metrics").status == 200
    assert "Traceback" not in airoxy.errors


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/files", "/v1/skills"])
def test_what_makes_something_is_not_sent_again_over_a_stale_connection(install, upstream, path):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    key = airoxy.key()
    assert ask(airoxy, key).status == 200  # leaves a connection that could be used again
    upstream.script(path=path, times=None).hang_up()
    assert airoxy.request("POST", path, {"requests": []}, key=key).status == 502
    assert [seen.path for seen in upstream.requests].count(path) == 1


def test_a_limit_of_one_endpoint_group_leaves_the_others_alone(install, upstream):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    key = airoxy.key()
    body = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hello"}]}
    upstream.script(path="/v1/messages/count_tokens").limit(retry_after=60)
    upstream.script(path="/v1/files").limit(retry_after=60)
    assert airoxy.request("POST", "/v1/messages/count_tokens", body, key=key).status == 429
    assert airoxy.request("POST", "/v1/files", {}, key=key).status == 429
    assert ask(airoxy, key).status == 200
    refused = airoxy.request("POST", "/v1/messages/count_tokens", body, key=key)
    assert refused.status == 429
    assert "rate limited for count_tokens claude-opus-5-5;" in refused.json()["error"]["message"]
    refused = airoxy.request("POST", "/v1/files", {}, key=key)
    assert "rate limited for files;" in refused.json()["error"]["message"]
    deadline = time.monotonic() + 60
    while len(listed(airoxy)["one"]["coolings"]) < 2:
        assert time.monotonic() < deadline
    table = airoxy.cli("token", "list")
    assert "cooling count_tokens claude-opus-5-5 " in table
    assert "cooling files " in table


def test_a_subscription_that_is_used_up_rests_until_its_window_resets(install, upstream):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    reset = int(time.time()) + 7999
    prefix = "anthropic-ratelimit-unified"
    headers = {f"{prefix}-5h-status": "rejected", f"{prefix}-5h-reset": str(reset)}
    upstream.script(token=ONE).status(429, "Error", headers=headers)
    assert ask(airoxy, airoxy.key()).status == 200
    assert unix(wait_cooling(airoxy, "one")["until"]) == reset


def test_the_words_of_an_account_that_cannot_pay_are_configured(install, upstream):
    airoxy = install(upstream={"account_errors": ["out of gas"]}).start()
    airoxy.token(ONE, name="one")
    airoxy.token(TWO, name="two")
    key = airoxy.key()
    upstream.script(token=ONE).status(400, "Your account is Out Of Gas until 2099-01-01.")
    assert ask(airoxy, key).status == 200
    upstream.script(token=TWO).status(400, BALANCE)
    assert ask(airoxy, key).status == 400


def test_a_client_that_makes_up_the_words_cools_no_token(install, upstream):
    airoxy = install().start()
    airoxy.token(ONE, name="one")
    key = airoxy.key()
    upstream.script().status(400, "your credit balance is too low: Extra inputs are not permitted")
    answer = ask(airoxy, key, **{"your credit balance is too low": 1})
    assert answer.status == 400
    assert not listed(airoxy)["one"]["coolings"]
