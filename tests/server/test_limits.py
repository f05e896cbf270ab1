"""The limits of client keys, seen from outside: real processes, bursts, restarts and kills."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.store.schema import open_database, run
from tests.conftest import NOON
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, Answer

ONE = "sk-ant-api-test-one"
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-4-5"
#: 25 input tokens at 4 and 12 output tokens at 20 dollars a million.
COST = 25 * 4000 + 12 * 20000
BURST = 12


def dollars(nanousd: int) -> str:
    return f"0.{nanousd:09}"


def ask(airoxy: Airoxy, key: str, **changes: Any) -> Answer:
    body = {
        "model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]
    }  # fmt: skip
    path = changes.pop("path", "/v1/messages")
    return airoxy.request("POST", path, body | changes, key=key)


def limited(airoxy: Airoxy, *options: str) -> str:
    """A key with these limits; its id is 1 where it is the first."""
    return str(airoxy.json("api-key", "add", "--name", "limited", *options)["key"])


def set_(airoxy: Airoxy, *options: str) -> None:
    airoxy.cli("api-key", "set", "1", *options)


def burst(airoxy: Airoxy, key: str, count: int = BURST, **changes: Any) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(airoxy, key, **changes), range(count)))


def count(answers: list[Answer], status: int) -> int:
    return sum(answer.status == status for answer in answers)


def refused(answer: Answer, kind: str) -> tuple[str, int]:
    """The words of a refusal, and for how long it holds."""
    assert answer.status == 429, answer
    told = answer.json()
    assert (told["type"], told["error"]["type"]) == ("error", kind)
    assert told["request_id"] == answer.headers["request-id"]
    return told["error"]["message"], int(answer.headers["retry-after"])


@pytest.fixture(params=[1, 2], ids=["one-worker", "two-workers"])
def airoxy(request: pytest.FixtureRequest, install: Callable[..., Airoxy]) -> Iterator[Airoxy]:
    """Running, with a token."""
    airoxy = install(workers=request.param)
    airoxy.token(ONE)
    return airoxy.start()


@pytest.fixture
def held(upstream: FakeAnthropic) -> Iterator[Any]:
    """Anthropic answers nobody until the test lets it."""
    gate = upstream.script(path="/v1/messages", times=None).hold()
    yield gate
    gate.open()


@contextlib.contextmanager
def waiting(airoxy: Airoxy, key: str, number: int, held: Any, **changes: Any) -> Iterator[Any]:
    """So many requests that wait for Anthropic meanwhile; the futures of their answers."""
    with ThreadPoolExecutor(number) as pool:
        futures = [pool.submit(ask, airoxy, key, **changes) for _ in range(number)]
        held.wait_arrived(number)
        yield futures
        held.open()


# Rates


def test_a_burst_gets_as_many_requests_as_the_minute_has(airoxy, upstream):
    key = limited(airoxy, "--requests-per-minute", "5")
    answers = burst(airoxy, key)
    assert (count(answers, 200), count(answers, 429)) == (5, BURST - 5)
    assert len(upstream.messages) == 5
    told, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert "limit of 5 requests per minute" in told
    assert 50 < wait <= 60


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
    with waiting(airoxy, key, 1, held, max_tokens=200):
        told, wait = refused(ask(airoxy, key), "rate_limit_error")
        assert "100 tokens per minute" in told
        assert wait == 5
        assert ask(airoxy, key, path="/v1/messages/count_tokens").status == 200
    # 37 were used; in the third are as many as there may be, and one request more.
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 200, 429]
    told, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert 50 < wait <= 60


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
    import http.client

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


# Spending


@pytest.mark.parametrize("span", ["day", "month"])
def test_a_burst_spends_no_more_than_the_limit_and_one_request(airoxy, held, span, upstream):
    key = limited(airoxy, f"--spend-per-{span}", dollars(3 * COST))
    threading.Timer(1.0, held.open).start()
    answers = burst(airoxy, key)
    served = count(answers, 200)
    assert 1 <= served <= 4
    assert served == len(upstream.messages)
    for answer in answers:
        if answer.status != 200:
            told, wait = refused(answer, "billing_error")
            assert wait == 5
            assert "running requests" in told
            assert answer.headers["x-should-retry"] is None
    while ask(airoxy, key).status == 200:
        served += 1
    assert served == 3
    answer = ask(airoxy, key)
    told, wait = refused(answer, "billing_error")
    assert f"$0.00102 per {span}" in told
    assert "00:00 UTC" in told
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < wait <= 86400 * (1 if span == "day" else 31)


def test_what_costs_nothing_goes_through_when_the_money_is_spent(airoxy):
    key = limited(airoxy, "--spend-per-day", "0.000000001")
    assert ask(airoxy, key).status == 200
    refused(ask(airoxy, key), "billing_error")
    assert ask(airoxy, key, path="/v1/messages/count_tokens").status == 200
    assert airoxy.request("GET", "/v1/models", key=key).status == 200
    batch = {"requests": [{"custom_id": "1", "params": {"model": OPUS}}]}
    refused(airoxy.request("POST", "/v1/messages/batches", batch, key=key), "billing_error")


def test_a_batch_is_spent_when_its_results_are_fetched(airoxy):
    key = limited(airoxy, "--spend-per-day", dollars(COST))
    asked = {"model": OPUS, "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]}
    batch = {"requests": [{"custom_id": str(n), "params": asked} for n in range(4)]}
    made = airoxy.request("POST", "/v1/messages/batches", batch, key=key).json()
    assert ask(airoxy, key, max_tokens=1, path="/v1/messages/count_tokens").status == 200
    results = f"/v1/messages/batches/{made['id']}/results"
    for _ in range(2):
        assert airoxy.request("GET", results, key=key).status == 200
    rows = airoxy.wait_logs(4)
    assert sum(row["cost_nanousd"] for row in rows) == 2 * COST
    refused(ask(airoxy, key), "billing_error")


def test_costs_computed_anew_are_what_was_spent(airoxy):
    key = limited(airoxy, "--spend-per-day", dollars(2 * COST))
    assert ask(airoxy, key).status == 200
    airoxy.wait_logs(1)
    airoxy.write_config(
        pricing=[
            {"model": OPUS, "input": 40, "write_5m": 50, "write_1h": 80, "read": 2, "output": 200}
        ]
    )
    assert "1 of 1" in airoxy.cli("prices", "--recost", "--since", time.strftime("%Y-%m-01"))
    refused(ask(airoxy, key), "billing_error")


# Models and expiry


def test_other_models_are_forbidden(airoxy, upstream):
    key = limited(airoxy, "--models", "claude-haiku-*,claude-sonnet-5")
    assert ask(airoxy, key, model=HAIKU).status == 200
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = ask(airoxy, key, path=path)
        assert answer.status == 403
        assert answer.json()["error"] == {
            "type": "permission_error",
            "message": "This API key may not use the model claude-opus-5-5; it may use"
            " claude-haiku-*, claude-sonnet-5.",
        }
    assert airoxy.request("GET", "/v1/models", key=key).status == 200
    assert len(upstream.messages) == 1
    rows = airoxy.wait_logs(4)
    assert sorted(row["status_code"] for row in rows) == [200, 200, 403, 403]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"claude-opus-5-5","model":"claude-haiku-4-5"}',
        b'{"model":"claude-haiku-4-5","mod\\u0065l":"claude-opus-5-5"}',
        b'{"model":"claude-haiku-4-5","x":"' + b"x" * 9000 + b'","mod\\u0065l":"claude-opus-5-5"}',
        b'{"model":["claude-haiku-4-5"]}',
        b'{"max_tokens":1}',
        b"\x1f\x8b compressed, perhaps",
    ],
    ids=["twice", "escaped", "large", "list", "none", "compressed"],
)
def test_what_might_be_another_model_is_forbidden(airoxy, upstream, body):
    key = limited(airoxy, "--models", "claude-haiku-*")
    answer = airoxy.request("POST", "/v1/messages", body, key=key)
    assert (answer.status, answer.json()["error"]["type"]) == (403, "permission_error")
    assert not upstream.requests


@pytest.mark.parametrize("size", [100, 300_000, 6_000_000])
def test_a_batch_with_another_model_is_forbidden(airoxy, upstream, size):
    key = limited(airoxy, "--models", "claude-haiku-*")

    def batch(last: str) -> Answer:
        asked = [
            {"custom_id": str(n), "params": {"model": model, "max_tokens": 5, "pad": "x" * size}}
            for n, model in enumerate([HAIKU, last])
        ]
        return airoxy.request("POST", "/v1/messages/batches", {"requests": asked}, key=key)

    assert batch(HAIKU).status == 200
    answer = batch(OPUS)
    assert answer.status == 403, answer
    assert "claude-opus-5-5" in answer.json()["error"]["message"]
    made = airoxy.request("GET", "/v1/messages/batches", key=key).json()["data"]
    assert len(made) == 1


def test_an_expired_key_says_so(airoxy):
    key = limited(airoxy, "--expires", "2099-12-31")
    other = airoxy.key()
    assert ask(airoxy, key).status == 200
    expire(airoxy, int(NOON))
    answer = ask(airoxy, key)
    assert (answer.status, answer.json()["error"]["type"]) == (401, "authentication_error")
    told = "This API key expired at 2026-11-22 12:00 UTC"
    assert answer.json()["error"]["message"] == told
    # One valid key is enough.
    both = {"x-api-key": key, "authorization": f"Bearer {other}"}
    assert airoxy.request("GET", "/v1/models", headers=both).status == 200
    assert "expired" in airoxy.cli("api-key", "list")
    set_(airoxy, "--expires", "none")
    assert ask(airoxy, key).status == 200


def expire(airoxy: Airoxy, when: int) -> None:
    """As if time had passed: the command lets nobody set a date that is past."""
    with contextlib.closing(open_database(airoxy.database)) as db:
        run(db, "UPDATE api_keys SET expires_at = ? WHERE id = 1", (when,))


# Changes, restarts, kills


def test_what_a_command_sets_holds_from_the_next_request_on(airoxy):
    key = limited(airoxy)
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.wait_logs(3)
    set_(airoxy, "--requests-per-minute", "4")
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 429, 429]
    set_(airoxy, "--requests-per-minute", "none", "--spend-per-month", dollars(COST))
    refused(ask(airoxy, key), "billing_error")
    set_(airoxy, "--spend-per-month", "none")
    assert ask(airoxy, key).status == 200


def test_a_key_without_limits_is_not_held_up_by_another(airoxy):
    key = limited(airoxy, "--requests-per-minute", "1")
    other = airoxy.key()
    ask(airoxy, key)
    refused(ask(airoxy, key), "rate_limit_error")
    assert count(burst(airoxy, other), 200) == BURST


def test_a_restart_forgets_neither_the_money_nor_the_minute(airoxy):
    key = limited(airoxy, "--requests-per-minute", "3", "--spend-per-day", dollars(5 * COST))
    for _ in range(3):
        assert ask(airoxy, key).status == 200
    airoxy.stop()
    airoxy.start()
    _, wait = refused(ask(airoxy, key), "rate_limit_error")
    assert 30 < wait <= 60  # a restart may take less than a second
    set_(airoxy, "--requests-per-minute", "none")
    assert [ask(airoxy, key).status for _ in range(3)] == [200, 200, 429]


def test_a_reload_keeps_what_old_workers_hold(airoxy, held):
    key = limited(airoxy, "--concurrent", "2", "--spend-per-day", "1")
    with waiting(airoxy, key, 2, held) as futures:
        os.kill(airoxy.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 20
        while "Reloaded." not in airoxy.errors:
            assert time.monotonic() < deadline, airoxy.errors
            time.sleep(0.05)
        refused(ask(airoxy, key), "rate_limit_error")
    assert count([each.result() for each in futures], 200) == 2
    assert count([ask(airoxy, key) for _ in range(2)], 200) == 2


def workers(airoxy: Airoxy) -> list[int]:
    pid = airoxy.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_worker_leaves_nothing_behind(airoxy, held):
    key = limited(
        airoxy, "--concurrent", "2", "--spend-per-day", "0.01", "--tokens-per-minute", "1000"
    )

    def lost() -> None:
        with contextlib.suppress(OSError):
            ask(airoxy, key, max_tokens=3000)

    threads = [threading.Thread(target=lost) for _ in range(1)]
    for thread in threads:
        thread.start()
    held.wait_arrived(1)
    refused(ask(airoxy, key), "billing_error")
    for pid in workers(airoxy):
        os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    held.open()
    assert ask(airoxy, key).status == 200


def test_a_database_that_cannot_be_written_does_not_lift_a_limit(airoxy):
    key = limited(airoxy, "--spend-per-day", dollars(3 * COST))
    blocker = apsw.Connection(str(airoxy.database))
    try:
        blocker.cursor().execute("BEGIN IMMEDIATE")
        assert [ask(airoxy, key).status for _ in range(4)] == [200, 200, 200, 429]
        blocker.cursor().execute("ROLLBACK")
    finally:
        blocker.close()
    airoxy.wait_logs(4)
    refused(ask(airoxy, key), "billing_error")
