"""What a key may cost in a day and in a month."""

from __future__ import annotations

import datetime
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server.limits.asking import BURST, COST, OPUS, ask, count, dollars, limited, refused


@pytest.mark.parametrize("span", ["day", "week", "month"])
def test_a_burst_spends_no_more_than_the_limit_and_one_request(airoxy, held, span, upstream):
    key = limited(airoxy, f"--spend-per-{span}", dollars(3 * COST))
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(BURST) as pool:
        asked = [pool.submit(ask, airoxy, key) for _ in range(BURST)]
        # Until each was refused or waits for Anthropic.
        while len(held.arrived) + sum(each.done() for each in asked) < BURST:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        held.open()
    answers = [each.result() for each in asked]
    served = count(answers, 200)
    assert 1 <= served <= 4
    assert served == len(upstream.messages)
    for answer in answers:
        if answer.status != 200:
            told, wait = refused(answer, "billing_error")
            assert wait == 5
            assert "running requests" in told
            assert answer.headers["x-should-retry"] is None
    while (answer := ask(airoxy, key)).status == 200:
        served += 1
    assert served == 3
    told, wait = refused(answer, "billing_error")
    assert f"$0.00102 per {span}" in told
    assert "00:00 UTC" in told
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < wait <= 86400 * (1 if span == "day" else 31)


ADVISOR = {
    "type": "advisor_20260301", "name": "advisor", "model": "claude-fable-5-2",
    "max_uses": 2, "max_tokens": 1000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"tools": [ADVISOR]}, "0.08"),  # 2 times 1000 tokens at 40 dollars a million
        ({"fallbacks": [{"model": "claude-fable-5-2"}], "max_tokens": 500}, "0.03"),
        ({"path": "/v1/chat/completions", "max_tokens": 1000}, "0.02"),
        ({"path": "/v1/chat/completions", "max_completion_tokens": 1000}, "0.02"),
    ],
    ids=["advisor", "fallback", "chat", "completion"],
)
def test_what_may_be_billed_is_held(airoxy, upstream, fields, most):
    """So much is below what may be billed, and one more request is too many."""
    key = limited(airoxy, "--spend-per-day", most)
    path = fields.get("path", "/v1/messages")
    held = upstream.script(path=path, times=None).hold()
    first = threading.Thread(target=ask, args=(airoxy, key), kwargs=fields)
    first.start()
    held.wait_arrived()
    answer = ask(airoxy, key)
    held.open()
    first.join()
    told, _ = refused(answer, "billing_error")
    assert "running requests" in told


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
    today = datetime.datetime.now(datetime.UTC).date()
    assert "1 of 1" in airoxy.cli("prices", "--recost", "--since", str(today.replace(day=1)))
    refused(ask(airoxy, key), "billing_error")
