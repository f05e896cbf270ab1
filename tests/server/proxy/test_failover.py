"""The table of verdicts, row by row, seen from outside: what the client gets, what Anthropic was
sent, and how the tokens stand afterwards. Plain and streamed requests fare alike."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airoxy.store.leases import refreshing
from tests.program import Airoxy, unix
from tests.server.pool.pooled import OAUTH, OAUTH_REFRESH, ONE, THREE, TWO, ask, listed


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def wait_until(airoxy: Airoxy, name: str, check) -> dict:
    """The token's row, once the writer has brought what `check` looks for."""
    deadline = time.monotonic() + 60
    while not check(row := listed(airoxy)[name]):
        assert time.monotonic() < deadline, row
    return row


def test_a_429_with_retry_after_cools_the_token_for_that_class_only(pool, upstream, stream):
    airoxy, key = pool
    upstream.script(token=ONE).limit(retry_after=300)
    assert ask(airoxy, key, stream=stream).status == 200
    assert upstream.tokens == [ONE, TWO]
    cooling = wait_until(airoxy, "one", lambda row: row["coolings"])["coolings"][0]
    assert cooling["model_class"] == "claude-opus-5-5"
    assert 200 < unix(cooling["until"]) - time.time() <= 300
    for _ in range(4):
        ask(airoxy, key)
    assert ONE not in upstream.tokens[2:]
    ask(airoxy, key, model="claude-haiku-4-5")
    assert upstream.tokens[-1] == ONE


def test_models_of_one_class_share_a_cooling(pool, upstream):
    airoxy, key = pool
    upstream.script(token=ONE).limit(retry_after=300)
    ask(airoxy, key, model="claude-opus-4-8")
    for _ in range(3):
        ask(airoxy, key, model="claude-opus-4-1")
    assert upstream.tokens.count(ONE) == 1


def test_a_spend_limit_cools_every_class_until_the_month_is_over(pool, upstream, stream):
    airoxy, key = pool
    upstream.script(token=ONE).spend_limit()
    assert ask(airoxy, key, stream=stream).status == 200
    cooling = wait_until(airoxy, "one", lambda row: row["coolings"])["coolings"][0]
    assert cooling["model_class"] == "*"
    assert time.gmtime(unix(cooling["until"]))[2:6] == (1, 0, 0, 0)
    for model in ("claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5-5"):
        ask(airoxy, key, model=model)
    assert upstream.tokens.count(ONE) == 1


@pytest.mark.parametrize("trouble", ["limit", "overloaded", "forbidden"])
def test_what_says_nothing_of_the_token_moves_the_request_on_and_no_more(
    pool, upstream, stream, trouble
):
    airoxy, key = pool
    getattr(upstream.script(token=ONE), trouble)()
    assert ask(airoxy, key, stream=stream).status == 200
    assert upstream.tokens == [ONE, TWO]
    for _ in range(3):
        ask(airoxy, key)
    assert upstream.tokens[2:] == [THREE, ONE, TWO]
    assert not listed(airoxy)["one"]["coolings"]


def test_a_401_deactivates_an_api_key_and_keeps_the_reason(pool, upstream, stream):
    airoxy, key = pool
    upstream.script(token=ONE).unauthorized()
    assert ask(airoxy, key, stream=stream).status == 200
    assert upstream.tokens == [ONE, TWO]
    row = wait_until(airoxy, "one", lambda row: not row["is_active"])
    assert row["inactive_reason"] == "Anthropic answered 401: invalid x-api-key"
    airoxy.cli("token", "reset", str(row["id"]))
    ask(airoxy, key)
    ask(airoxy, key)
    assert ONE in upstream.tokens[2:]


def test_a_401_refreshes_an_oauth_token_once_and_asks_again_with_it(airoxy, upstream, stream):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    upstream.script(token=OAUTH, times=None).unauthorized()
    assert ask(airoxy, airoxy.key(), stream=stream).status == 200
    assert len(upstream.refreshes) == 1
    assert len(upstream.tokens) == 2
    assert upstream.tokens[1] not in (OAUTH, None)
    assert listed(airoxy)["pair"]["is_active"]


def test_an_oauth_token_that_is_refused_after_its_refresh_is_deactivated(airoxy, upstream):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    upstream.script(times=None).unauthorized()
    assert ask(airoxy, airoxy.key()).status == 401
    assert len(upstream.refreshes) == 1
    row = wait_until(airoxy, "pair", lambda row: not row["is_active"])
    assert "401" in row["inactive_reason"]


def test_when_the_refresh_fails_the_next_token_serves(airoxy, upstream):
    airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    airoxy.token(TWO, name="two")
    upstream.script(token=OAUTH).unauthorized()
    upstream.script(path="/v1/oauth/token").status(500)
    assert ask(airoxy, airoxy.key()).status == 200
    assert upstream.tokens == [OAUTH, TWO]
    assert listed(airoxy)["pair"]["is_active"]


@pytest.mark.parametrize("status", [400, 404, 409, 413, 500, 502, 504])
def test_any_other_error_is_the_clients_answer_as_it_is(pool, upstream, stream, status):
    airoxy, key = pool
    upstream.script().status(status, "As it was.", headers={"x-should-retry": "false"})
    answer = ask(airoxy, key, stream=stream)
    assert answer.status == status
    assert answer.json()["error"]["message"] == "As it was."
    assert answer.headers["x-should-retry"] == "false"
    assert upstream.tokens == [ONE]


def test_when_all_are_used_up_the_client_gets_the_last_answer_as_it_was(pool, upstream, stream):
    airoxy, key = pool
    upstream.script(token=ONE).overloaded()
    upstream.script(token=TWO).forbidden()
    upstream.script(token=THREE).status(529, "The last one.", headers={"retry-after": "7"})
    answer = ask(airoxy, key, stream=stream)
    assert (answer.status, answer.headers["retry-after"]) == (529, "7")
    assert answer.json()["error"]["message"] == "The last one."
    assert upstream.tokens == [ONE, TWO, THREE]


def test_no_more_tokens_are_tried_than_max_attempts(install, upstream):
    airoxy = install(max_attempts=2).start()
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    upstream.script(times=None).overloaded()
    assert ask(airoxy, airoxy.key()).status == 529
    assert upstream.tokens == [ONE, TWO]


def test_when_every_token_is_cooling_nothing_is_sent_and_retry_after_says_when(pool, upstream):
    airoxy, key = pool
    for secret, wait in ((ONE, 600), (TWO, 300), (THREE, 500)):
        upstream.script(token=secret).limit(retry_after=wait)
    assert ask(airoxy, key).status == 429
    assert len(upstream.tokens) == 3
    answer = ask(airoxy, key)
    assert answer.status == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert 200 < int(answer.headers["retry-after"]) <= 300
    assert len(upstream.tokens) == 3
    assert ask(airoxy, key, model="claude-haiku-4-5").status == 200


def test_a_cooling_survives_a_restart_and_reset_clears_it(pool, upstream):
    airoxy, key = pool
    for secret in (ONE, TWO, THREE):
        upstream.script(token=secret).limit(retry_after=300)
    ask(airoxy, key)
    airoxy.stop()
    airoxy.start()
    assert ask(airoxy, key).status == 429
    assert len(upstream.tokens) == 3
    airoxy.cli("token", "reset", str(listed(airoxy)["two"]["id"]))
    assert ask(airoxy, key).status == 200
    assert upstream.tokens[3:] == [TWO]


def test_without_tokens_it_is_a_503_in_anthropics_shape(airoxy, upstream):
    answer = ask(airoxy, airoxy.key())
    assert answer.status == 503
    assert answer.json()["error"] == {"type": "api_error", "message": "No access tokens available"}
    assert not upstream.requests
    assert airoxy.request("GET", "/health").status == 503


def test_an_upstream_that_refuses_the_connection_is_a_502_after_two_tokens(pool, upstream):
    airoxy, key = pool
    upstream.refuse()
    answer = ask(airoxy, key)
    assert answer.status == 502
    assert answer.json()["error"]["type"] == "api_error"
    row = airoxy.wait_logs(1)[0]
    assert (row["status_code"], row["ending"], row["attempts"]) == (502, "upstream_failed", 2)
    upstream.listen()
    assert ask(airoxy, key).status == 200


def test_an_upstream_that_says_nothing_is_a_504(install, upstream):
    airoxy = install(upstream={"read_timeout": 0.3}).start()
    airoxy.token(ONE)
    upstream.script().hold()
    answer = ask(airoxy, airoxy.key())
    assert answer.status == 504
    assert answer.json()["error"]["type"] == "timeout_error"
    row = airoxy.wait_logs(1)[0]
    assert (row["status_code"], row["ending"]) == (504, "upstream_failed")


def test_max_attempts_counts_tokens_not_refreshes(install, upstream):
    airoxy = install(max_attempts=1).start()
    airoxy.token(OAUTH, OAUTH_REFRESH)
    upstream.script(token=OAUTH).unauthorized()
    assert ask(airoxy, airoxy.key()).status == 200
    assert len(upstream.refreshes) == 1


def test_the_error_of_airoxy_names_its_request(airoxy):
    answer = airoxy.request("POST", "/v1/messages", b"{}")
    assert answer.status == 401
    document = json.loads(answer.body)
    assert document["type"] == "error"
    assert document["request_id"] == answer.headers["request-id"]


def test_the_error_of_airoxy_and_its_row_in_the_log_have_one_id(airoxy):
    answer = ask(airoxy, airoxy.key())
    assert answer.status == 503
    (row,) = airoxy.wait_logs(1)
    assert row["request_id"] == answer.headers["request-id"] == answer.json()["request_id"]
    assert re.fullmatch(r"req_airoxy_[0-9a-f]{16}", row["request_id"])


def test_of_a_worker_that_is_killed_while_it_refreshes_another_renews_the_token_after_a_pause(
    install, upstream
):
    airoxy = install(workers=2).start()
    token_id = airoxy.token(OAUTH, OAUTH_REFRESH, name="pair")
    key = airoxy.key()
    upstream.script(token=OAUTH, times=None).unauthorized()
    hold = upstream.script(path="/v1/oauth/token").hold()
    with ThreadPoolExecutor(1) as threads:
        lost = threads.submit(ask, airoxy, key)
        hold.wait_arrived()
        with airoxy.opened() as db:
            worker = refreshing(db, token_id)[0].by
        os.kill(worker, signal.SIGKILL)
        assert isinstance(lost.exception(), http.client.HTTPException | OSError)
    # Whether its refresh token is spent, nobody knows: it is not sent again at once.
    assert [ask(airoxy, key).status for _ in range(2)] == [401, 401]
    assert len(upstream.refreshes) == 1
    assert listed(airoxy)["pair"]["is_active"]
    with airoxy.opened() as db:
        db.execute("UPDATE tokens SET retry_refresh_at = 1")  # the pause is over
    assert [ask(airoxy, key).status for _ in range(2)] == [200, 200]
    assert len(upstream.refreshes) == 2
    assert listed(airoxy)["pair"]["refresh_interrupted_at"] is None
