"""What answers of every kind leave in the usage log, to the nano-dollar, and everywhere else."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airoxy.core.keys import digest
from airoxy.store import resources
from airoxy.store.schema import run
from airoxy.store.usage.daily import totals
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended
from tests.server.proxy.usage_cases import ASKED, CASES, HTML, JSON, OPUS, usage


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, fake: FakeAnthropic) -> Iterator[Airoxy]:
    airoxy = Airoxy(tmp_path_factory.mktemp("served"), fake.url)
    with ended([airoxy]):
        airoxy.token("sk-ant-api-test-one")
        yield airoxy.start()


@pytest.fixture(scope="module")
def key(served: Airoxy) -> str:
    return served.key()


def last(served: Airoxy, before: int) -> dict[str, Any]:
    """The row that follows `before` many."""
    (row, *_) = served.wait_logs(before + 1)
    return row


def count(served: Airoxy) -> int:
    with served.opened() as db:
        return int(totals(db)["requests"])


@pytest.mark.parametrize("case", CASES)
def test_an_answer_leaves_its_row(served: Airoxy, fake: FakeAnthropic, key: str, case: str) -> None:
    path, headers, body, expected = CASES[case]
    before = count(served)
    fake.script(path=path).answer(200, headers, body)
    assert served.request("POST", path, ASKED, key=key).body == body
    row = last(served, before)
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (
            [HTML, ("Server", "cloudflare")],
            b"<h1>Bad gateway</h1><script>x()</script>\n<p>Ray sk-ant-api-test-one</p>",
            "text/html from cloudflare: Bad gateway Ray sk-ant-…",
        ),
        ([JSON], b'{"detail": "no"}', 'application/json: {"detail": "no"}'),
        ([JSON], b'{"error": {"message": "Overloaded"}}', "Overloaded"),
        ([], b"", "no content type: nothing"),
    ],
)
def test_an_error_that_is_not_the_apis_leaves_its_first_words(
    served: Airoxy, fake: FakeAnthropic, key: str, headers: Any, body: bytes, expected: str
) -> None:
    before = count(served)
    fake.script(path="/v1/messages").answer(502, headers, body)
    assert served.request("POST", "/v1/messages", ASKED, key=key).status == 502
    row = last(served, before)
    assert (row["status_code"], row["error_message"]) == (502, expected)


# The results of a batch


def results(*inputs: int) -> bytes:
    lines = (
        {"custom_id": f"{n}", "result": {"type": "succeeded", "message": {
            "model": OPUS, "usage": usage(n, 0, server_tool_use={"web_search_requests": 1})}}}
        for n in inputs
    )  # fmt: skip
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def fetch(
    served: Airoxy,
    fake: FakeAnthropic,
    key: str,
    batch: str,
    *answer: Any,
    method: str = "GET",
    end: str = "",
) -> dict[str, Any]:
    before, path = count(served), f"/v1/messages/batches/{batch}/results"
    fake.script(when=lambda seen: seen.path.startswith(path)).answer(*answer)
    served.request(method, path + end, key=key)
    return last(served, before)


def test_results_are_counted_once_with_searches_at_full_price(
    served: Airoxy, fake: FakeAnthropic, key: str
) -> None:
    row = fetch(served, fake, key, "msgbatch_once", 200, [], results(1000, 2000))
    assert (row["input_tokens"], row["web_search_requests"]) == (3000, 2)
    assert row["cost_nanousd"] == 3000 * 2000 + 20_000_000
    row = fetch(served, fake, key, "msgbatch_once", 200, [], results(1000, 2000))
    assert (row["input_tokens"], row["cost_nanousd"], row["status_code"]) == (0, 0, 200)


@pytest.mark.parametrize(
    "answer",
    [
        (200, [], b""),
        (200, [HTML], b"<html>busy</html>"),
        (200, [("Content-Encoding", "gzip")], b"not gzip"),
        (206, [], results(1000)),
        (404, [JSON], b"{}"),
    ],
)
def test_what_holds_no_results_claims_none(
    served: Airoxy, fake: FakeAnthropic, key: str, answer: Any, request: pytest.FixtureRequest
) -> None:
    batch = "msgbatch_" + re.sub(r"\W", "", request.node.name)
    row = fetch(served, fake, key, batch, *answer)
    assert (row["input_tokens"], row["cost_nanousd"]) == (0, 0)
    unreadable = answer[2] == b"not gzip"
    assert (row["ending"] == "complete") == (answer[0] != 200 or unreadable)
    assert (row["error_message"] is not None) == (answer[0] != 206)
    assert fetch(served, fake, key, batch, 200, [], results(1000))["input_tokens"] == 1000


def test_the_key_that_made_a_batch_pays_for_its_results(
    served: Airoxy, fake: FakeAnthropic, key: str
) -> None:
    maker = served.key()
    for number in (key, maker):
        served.cli("api-key", "set", id_of(served, number), "--share-resources", "all")
    before = count(served)
    fake.script(path="/v1/messages/batches").json({"id": "msgbatch_paid", "type": "message_batch"})
    assert served.request("POST", "/v1/messages/batches", {"requests": []}, key=maker).status == 200
    last(served, before)
    row = fetch(served, fake, key, "msgbatch_paid", 200, [], results(1000))
    assert (row["input_tokens"], str(row["api_key_id"])) == (1000, id_of(served, maker))


def id_of(served: Airoxy, key: str) -> str:
    with served.opened() as db:
        (number,) = run(db, "SELECT id FROM api_keys WHERE digest = ?", (digest(key),))[0]
    return str(number)


def test_a_head_claims_no_results(served: Airoxy, fake: FakeAnthropic, key: str) -> None:
    row = fetch(served, fake, key, "msgbatch_head", 200, [], b"", method="HEAD")
    assert row["ending"] == "complete"
    row = fetch(served, fake, key, "msgbatch_head", 200, [], results(1000))
    assert row["input_tokens"] == 1000


@pytest.mark.parametrize("end", ["", "/", "?beta=true"])
def test_what_a_broken_fetch_has_seen_is_counted_and_the_rest_by_the_next(
    served: Airoxy, fake: FakeAnthropic, key: str, end: str
) -> None:
    batch = f"msgbatch_broken{len(end)}"
    before, path = count(served), f"/v1/messages/batches/{batch}/results"
    whole = results(1000, 2000, 4000)
    fake.script(path=path).raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
        % (len(whole), results(1000) + results(2000)[:-9])
    )
    with pytest.raises(http.client.IncompleteRead):
        served.request("GET", path, key=key)
    row = last(served, before)
    assert (row["input_tokens"], row["ending"]) == (1000, "upstream_failed")
    assert fetch(served, fake, key, batch, 200, [], whole, end=end)["input_tokens"] == 6000
    assert fetch(served, fake, key, batch, 200, [], whole, end=end)["input_tokens"] == 0
    with served.opened() as db:
        assert resources.counted_results(db, batch) == 3


# All of it together


@pytest.fixture(scope="module")
def used(served: Airoxy, fake: FakeAnthropic, key: str) -> Airoxy:
    """With every case in its log, whichever of the tests above have run in this process."""
    before = count(served)
    for path, headers, body, _ in CASES.values():
        fake.script(path=path).answer(200, headers, body)
        served.request("POST", path, ASKED, key=key)
    fetch(served, fake, key, "msgbatch_all", 200, [], results(1000))
    served.wait_logs(before + len(CASES) + 1)
    return served


def test_log_statistics_and_metrics_agree_to_the_nano_dollar(used: Airoxy) -> None:
    rows, sums = used.json("logs", "--limit", "1000"), used.json("stats")
    assert len(rows) > len(CASES)
    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "web_search_requests"):
        assert sums[name] == sum(row[name] for row in rows)
    assert sums["cost_nanousd"] == sum(row["cost_nanousd"] for row in rows) > 0
    assert sums["estimated"] == sum(row["is_estimate"] for row in rows) > 3
    assert sums["uncounted"] == sum(row["uncounted"] for row in rows) > 0
    deadline = time.monotonic() + 60
    while True:
        text = used.request("GET", "/metrics").body.decode()
        found = re.findall(r"^airoxy_(\w+)_total\{.*\} (\S+)$", text, re.MULTILINE)
        metrics: dict[str, float] = {}
        for name, value in found:
            metrics[name] = metrics.get(name, 0.0) + float(value)
        if metrics["requests"] == len(rows) or time.monotonic() > deadline:
            break
    assert round(metrics["cost_dollars"] * 1e9) == sums["cost_nanousd"]
    assert metrics["estimated_requests"] == sums["estimated"]
    assert metrics["uncounted_requests"] == sums["uncounted"]
    tokens = sum(value for name, value in sums.items() if name.endswith("_tokens"))
    assert metrics["usage_tokens"] == tokens


def test_computing_costs_again_changes_none(used: Airoxy) -> None:
    done = used.json("prices", "--recost", "--since", "2020-01-01")
    assert (done["changed"], done["unknown"]) == (0, 0)
