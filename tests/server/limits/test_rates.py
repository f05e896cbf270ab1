"""What a key may do in a minute and at once."""

from __future__ import annotations

import http.client
import json
import time

from tests.server.limits.asking import (
    BURST,
    OPUS,
    ask,
    burst,
    count,
    is_left_of_a_minute,
    limited,
    refused,
    set_,
    waiting,
)


def test_a_burst_gets_as_many_requests_as_the_minute_has(airoxy, upstream):
    key = limited(airoxy, "--requests-per-minute", "5")
    begun = time.time()
    answers = burst(airoxy, key)
    assert (count(answers, 200), count(answers, 429)) == (5, BURST - 5)
    assert len(upstream.messages) == 5
    told, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert "limit of 5 requests per minute" in told
    assert is_left_of_a_minute(wait, begun)


def test_requests_that_cost_nothing_count_as_requests_too(airoxy):
    key = limited(airoxy, "--requests-per-minute", "2")
    assert airoxy.request("GET", "/v1/models", key=key).status == 200
    assert ask(airoxy, key, path="/v1/messages/count_tokens").status == 200
    refused(airoxy.request("GET", "/v1/models", key=key), "rate_limit_error")


def test_a_refusal_is_in_the_log_and_does_not_count(airoxy):
    key = limited(airoxy, "--requests-per-minute", "1")
    for _ in range(3):
        ask(airoxy, key)
    rows = airoxy.wait_logs(3)
    assert sorted((row["status_code"], row["attempts"]) for row in rows) == [
        (200, 1), (429, 0), (429, 0)
    ]  # fmt: skip
    set_(airoxy, "--requests-per-minute", "2")
    assert ask(airoxy, key).status == 200


def test_tokens_are_held_while_a_request_runs_and_counted_when_it_ends(airoxy, held):
    key = limited(airoxy, "--tokens-per-minute", "100")
    begun = time.time()
    with waiting(airoxy, key, 1, held, max_tokens=200):
        told, wait = refused(ask(airoxy, key), "rate_limit_error")
        assert "100 tokens per minute" in told
        assert wait == 5
        assert ask(airoxy, key, path="/v1/messages/count_tokens").status == 200
    # 37 were used; in the third are as many as there may be, and one request more.
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 200, 429]
    told, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert is_left_of_a_minute(wait, begun)


def test_only_so_many_run_at_once(airoxy, held, upstream):
    key = limited(airoxy, "--concurrent", "3")
    with waiting(airoxy, key, 3, held) as futures:
        for _ in range(3):
            told, wait = refused(ask(airoxy, key), "rate_limit_error")
            assert "3 concurrent requests" in told
            assert wait == 5
    assert count([each.result() for each in futures], 200) == 3
    assert len(upstream.messages) == 3
    assert ask(airoxy, key).status == 200


def test_who_asks_one_thing_after_the_other_is_never_in_his_own_way(airoxy):
    """What is held for one request is more than the limit."""
    key = limited(
        airoxy, "--concurrent", "1", "--spend-per-day", "0.05", "--tokens-per-minute", "3000"
    )
    for stream in (False, True) * 20:
        assert ask(airoxy, key, stream=stream, max_tokens=4000).status == 200


def test_a_client_that_leaves_gives_its_turn_back(airoxy, held, upstream):
    key = limited(airoxy, "--concurrent", "1", "--spend-per-day", "1", "--tokens-per-minute", "99")
    connection = http.client.HTTPConnection("127.0.0.1", airoxy.port, timeout=30)
    connection.request(
        "POST",
        "/v1/messages",
        json.dumps({"model": OPUS, "max_tokens": 100_000}),
        {"x-api-key": key, "anthropic-version": "2023-06-01"},
    )
    seen = held.wait_arrived()
    connection.close()
    upstream.wait_gone(seen)
    airoxy.wait_logs(1)
    held.open()
    assert ask(airoxy, key).status == 200
