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
from tests.core.billing.usage_samples import sse
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended

JSON, HTML = ("Content-Type", "application/json"), ("Content-Type", "text/html; charset=utf-8")
EVENTS, CHAT = ("Content-Type", "text/event-stream"), "/v1/chat/completions"
OPUS = "claude-opus-5-5"
ASKED = {"model": OPUS, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


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


def message(**said: Any) -> bytes:
    return json.dumps({"type": "message", "content": []} | said).encode()


def usage(input_: int, output: int, **more: Any) -> dict[str, Any]:
    return {"input_tokens": input_, "output_tokens": output, **more}


START = {"type": "message_start", "message": {"model": OPUS, "usage": usage(100, 1)}}


def delta(kind: str, **said: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **said}}


DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage(100, 7)}
STOP = {"type": "message_stop"}
WHOLE = sse(START, delta("text_delta", text="Hello"), DELTA, STOP)


def pieces_of_chat(*counts: int) -> bytes:
    """Each with ten tokens of text, and with what has been used so far."""
    pieces = (
        {
            "model": OPUS,
            "choices": [{"index": 0, "delta": {"content": "x" * 40}, "finish_reason": None}],
            "usage": {"prompt_tokens": 10, "completion_tokens": count},
        }
        for count in counts
    )
    return b"".join(b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces)


# The path, the answer's headers and body; what the row says.
CASES: dict[str, tuple[str, list[tuple[str, str]], bytes, dict[str, Any]]] = {
    "a message": (
        "/v1/messages", [JSON], message(model=OPUS, stop_reason="end_turn", usage=usage(10, 2)),
        {"input_tokens": 10, "cost_nanousd": 80_000, "ending": "complete", "is_estimate": False},
    ),
    "a message of another type of JSON": (
        "/v1/messages", [("Content-Type", "application/vnd.api+json")],
        message(model=OPUS, stop_reason="end_turn", usage=usage(10, 2)),
        {"input_tokens": 10, "cost_nanousd": 80_000, "ending": "complete"},
    ),
    "a chat that counts with each piece": (
        CHAT, [EVENTS], pieces_of_chat(1, 20, 50) + b"data: [DONE]\n\n",
        {"input_tokens": 10, "output_tokens": 50, "ending": "complete", "is_estimate": False},
    ),
    "a chat that counts with each piece and breaks off": (
        CHAT, [EVENTS], pieces_of_chat(1, 1, 1),
        {"input_tokens": 10, "output_tokens": 30, "ending": "upstream_failed", "is_estimate": True},
    ),
    "a refusal without output": (
        "/v1/messages", [JSON], message(model=OPUS, stop_reason="refusal", usage=usage(10, 0)),
        {"input_tokens": 10, "cost_nanousd": 0, "ending": "complete"},
    ),
    "an answer that does not name its model": (
        "/v1/messages", [JSON], message(usage=usage(10, 2)),
        {"model": OPUS, "cost_nanousd": 80_000},
    ),
    "a fallback": (
        "/v1/messages", [JSON],
        message(model="claude-opus-4-8", stop_reason="end_turn", usage=usage(10, 2, iterations=[
            {"type": "message", "model": OPUS, **usage(10, 0)},
            {"type": "fallback_message", "model": "claude-opus-4-8", **usage(10, 2)},
        ])),
        {"model": "claude-opus-4-8", "input_tokens": 20, "cost_nanousd": 100_000},
    ),
    "a stream": (
        "/v1/messages", [EVENTS], WHOLE,
        {"output_tokens": 7, "cost_nanousd": 540_000, "ending": "complete", "is_stream": True},
    ),
    "a stream with lines that end in CR": (
        "/v1/messages", [EVENTS], WHOLE.replace(b"\n", b"\r"),
        {"output_tokens": 7, "ending": "complete"},
    ),
    "a stream with its data over several lines": (
        "/v1/messages", [EVENTS],
        WHOLE.replace(b'"type": "message_', b'\ndata: "type":\ndata:  "message_'),
        {"output_tokens": 7, "ending": "complete"},
    ),
    "a stream that ends early": (
        "/v1/messages", [EVENTS],
        sse(START, delta("thinking_delta", thinking="x" * 1000),
            delta("text_delta", text="é" * 500),
            delta("input_json_delta", partial_json="y" * 2001)),
        {"output_tokens": 1001, "is_estimate": True, "ending": "upstream_failed",
         "cost_nanousd": 100 * 4000 + 1001 * 20_000,
         "error_message": "The stream ended without message_stop."},
    ),
    "a long stream that ends early": (
        "/v1/messages", [EVENTS], sse(START, *[delta("text_delta", text="x" * 40)] * 4000),
        {"output_tokens": 40_000, "is_estimate": True},
    ),
    "a stream with a last count that is more than its text": (
        "/v1/messages", [EVENTS],
        sse(START, delta("text_delta", text="x" * 40), {**DELTA, "delta": {}}),
        {"output_tokens": 10, "is_estimate": True},
    ),
    "a stream that lacks only its end": (
        "/v1/messages", [EVENTS], sse(START, delta("text_delta", text="x" * 400), DELTA),
        {"output_tokens": 7, "is_estimate": False, "ending": "upstream_failed"},
    ),
    "an empty stream": (
        "/v1/messages", [EVENTS], b"", {"ending": "upstream_failed", "cost_nanousd": 0},
    ),
    "an empty answer": (
        "/v1/messages", [JSON], b"",
        {"ending": "upstream_failed", "error_message": "application/json: nothing"},
    ),
    "an answer that is cut off": (
        "/v1/messages", [JSON], message(model=OPUS, usage=usage(10, 2))[:-1],
        {"ending": "upstream_failed", "cost_nanousd": 0},
    ),
    "a page": (
        "/v1/messages", [HTML, ("Server", "portal")],
        b"<html><head><title>Log in</title><style>b{}</style></head><p>to the hotel</p></html>",
        {"ending": "upstream_failed", "status_code": 200,
         "error_message": "text/html from portal: Log in to the hotel"},
    ),
    "a chat": (
        CHAT, [JSON],
        json.dumps({"object": "chat.completion", "model": OPUS, "usage": {
            "prompt_tokens": 30, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 20}}}).encode(),
        {"input_tokens": 10, "cache_read_tokens": 20, "output_tokens": 5, "model": OPUS,
         "cost_nanousd": 40_000 + 4_000 + 100_000, "uncounted": False},
    ),
    "a chat as a stream": (
        CHAT, [EVENTS],
        sse({"model": OPUS, "choices": [{"delta": {"content": "Hello"}}]},
            {"model": OPUS, "choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 5}})
        + b"data: [DONE]\n\n",
        {"input_tokens": 30, "output_tokens": 5, "ending": "complete", "is_stream": True,
         "is_estimate": False},
    ),
    "a chat as a stream that does not tell its usage": (
        CHAT, [EVENTS],
        sse({"model": OPUS, "choices": [{"delta": {"content": "x" * 400}}]}) + b"data: [DONE]\n\n",
        {"input_tokens": -(-len(json.dumps(ASKED)) // 4), "output_tokens": 100,
         "ending": "complete", "is_estimate": True},
    ),
    "a chat that does not tell its usage": (
        CHAT, [JSON],
        json.dumps({"model": OPUS, "choices": [
            {"message": {"content": "x" * 400}, "finish_reason": "stop"},
            {"message": {"content": None, "tool_calls": [
                {"function": {"name": "f", "arguments": "y" * 40}}]}}]}).encode(),
        {"input_tokens": -(-len(json.dumps(ASKED)) // 4), "output_tokens": 110, "model": OPUS,
         "ending": "complete", "is_estimate": True, "error_message": None},
    ),
    "a chat without text that does not tell its usage": (
        CHAT, [JSON], b'{"choices": [], "usage": null}',
        {"input_tokens": -(-len(json.dumps(ASKED)) // 4), "output_tokens": 0, "is_estimate": True},
    ),
    "a message whose counts have a decimal point": (
        "/v1/messages", [JSON],
        b'{"type":"message","model":"claude-opus-5-5","usage":{"input_tokens":1e1,"output_tokens":2.0}}',
        {"input_tokens": 10, "output_tokens": 2, "cost_nanousd": 80_000, "is_estimate": False},
    ),
    "a chat that breaks off": (
        CHAT, [EVENTS],
        sse({"model": OPUS, "choices": [{"delta": {"content": "x" * 400}}]}),
        {"output_tokens": 100, "is_estimate": True, "ending": "upstream_failed",
         "error_message": "The stream ended without [DONE]."},
    ),
    "what cannot be counted": (
        "/v1/sessions", [JSON], b'{"id": "sess_1", "type": "session"}',
        {"uncounted": True, "ending": "complete", "cost_nanousd": 0},
    ),
    "a token count": (
        "/v1/messages/count_tokens", [JSON], b'{"input_tokens": 5}',
        {"uncounted": False, "ending": "complete", "input_tokens": 0},
    ),
}  # fmt: skip


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
