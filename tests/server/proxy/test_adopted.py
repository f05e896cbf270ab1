"""What another worker makes of a request whose worker was killed: its row, or what was known."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from airoxy.config import shipped_prices
from airoxy.core.pool import Token
from airoxy.errors import UpstreamBroken
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.unwritten import PROGRESS, REGION, ROOM, UnwrittenRequests
from airoxy.store.usage.requests import Row
from tests.conftest import NOON

OPUS = "claude-opus-5-5"
PRICES = shipped_prices()
USAGE = {
    "input_tokens": 1000,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 40,
    "output_tokens": 1,
}
TOKEN = Token(3, "one", "api_key", "sk-ant-api-test", None, 0)


@pytest.fixture
def unwritten() -> Iterator[UnwrittenRequests]:
    with closing(SharedMemory.of(REGION)) as memory:
        unwritten = UnwrittenRequests(memory)
        yield unwritten
        unwritten.close()


@pytest.fixture
def request_log(unwritten: UnwrittenRequests) -> RequestLog:
    request_log = RequestLog(12, "/v1/messages", NOON, unwritten)
    request_log.model = OPUS
    request_log.attempted(TOKEN)
    return request_log


def adopted(unwritten: UnwrittenRequests, request_log: RequestLog) -> Row:
    assert request_log.slot is not None
    return RequestLog.adopted(request_log.slot.read()).row(PRICES)


def event(**data: Any) -> bytes:
    return b"event: x\ndata: " + json.dumps(data).encode() + b"\n\n"


START = event(type="message_start", message={"model": OPUS, "usage": USAGE})
TEXT = event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "four"})
END = event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 900})
STOP = event(type="message_stop")
#: There is no room to keep it as it came.
LARGE = event(type="x", error=None, text="x" * ROOM)


def document(request_log: RequestLog, *, text: str = "", headers: bool = True) -> None:
    body = {"type": "message", "model": OPUS, "content": [{"text": text}], "usage": USAGE}
    written = json.dumps(body).encode()
    length = {b"content-length": b"%d" % len(written)} if headers else {}
    kind = {b"content-type": b"application/json", b"request-id": b"req_1"}
    request_log.answered(200, kind | length)(written)


def stream(request_log: RequestLog, *pieces: bytes) -> Callable[[bytes], object]:
    feed = request_log.answered(200, {b"content-type": b"text/event-stream"})
    for piece in pieces:
        feed(piece)
    return feed


@pytest.mark.parametrize(
    "answer",
    [
        document,
        lambda log: document(log, text="x" * 5000),
        lambda log: document(log, headers=False),
        lambda log: stream(log, START, TEXT, END, STOP),
        lambda log: stream(log, START, TEXT, TEXT + END + STOP),
        lambda log: stream(log, START, TEXT, STOP),
        lambda log: (stream(log, START, TEXT, END, STOP), log.end(), log.client_left()),
        lambda log: (document(log), log.end(), log.client_left()),
        lambda log: (document(log), log.end(), log.failed(UpstreamBroken("It broke off."))),
        lambda log: stream(log, START, LARGE, END, STOP),
        lambda log: stream(log, START + TEXT, END + STOP),
        lambda log: stream(
            log, START, TEXT, END, event(type="error", error={"message": "b"}), STOP
        ),
        lambda log: stream(log, START, TEXT, END, STOP, event(type="error", error={})),
        lambda log: stream(log, START, END, STOP[:20], STOP[20:-1]),
        lambda log: stream(log, STOP),
        lambda log: stream(log, START, event(type="error", error={"message": "broken"})),
        lambda log: (stream(log, START, TEXT), log.failed(UpstreamBroken("It broke off."))),
        lambda log: (stream(log, START, TEXT), log.client_left()),
        lambda log: log.client_left(),
        lambda log: log.failed(UpstreamBroken("It broke off.")),
        lambda log: log.stopped(),
        lambda log: (log.attempted(TOKEN), document(log)),
    ],
)
def test_a_request_that_has_ended_leaves_the_same_row(
    unwritten: UnwrittenRequests,
    request_log: RequestLog,
    answer: Callable[[RequestLog], object],
) -> None:
    answer(request_log)
    request_log.end()
    assert adopted(unwritten, request_log) == request_log.row(PRICES)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8:1111:2222:3333:4444:5555:6666", None])
@pytest.mark.parametrize("answer", [document, lambda log: stream(log, START, END, STOP)])
def test_where_its_client_sits_and_what_a_move_cost_is_in_that_row_too(
    unwritten: UnwrittenRequests, answer: Callable[[RequestLog], object], address: str | None
) -> None:
    request_log = RequestLog(12, "/v1/messages", NOON, unwritten, client_address=address)
    request_log.attempted(TOKEN)
    request_log.moved = True
    answer(request_log)
    request_log.end()
    row = adopted(unwritten, request_log)
    assert row == request_log.row(PRICES)
    assert (row.client_address, row.moved, row.move_cost_nanousd > 0) == (address, True, True)


def chunk(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


WORDS = chunk(model=OPUS, choices=[{"delta": {"content": "four"}}])
COUNTS = chunk(model=OPUS, choices=[], usage={"prompt_tokens": 30, "completion_tokens": 4})
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (WORDS, COUNTS, DONE),
        (WORDS + COUNTS + DONE,),
        (WORDS, COUNTS),
        (WORDS, DONE),
        (WORDS, COUNTS, chunk(error={"message": "broken"}), DONE),
    ],
)
def test_a_chat_that_has_ended_leaves_the_same_row(
    unwritten: UnwrittenRequests, pieces: tuple[bytes, ...]
) -> None:
    request_log = RequestLog(12, "/v1/chat/completions", NOON, unwritten)
    request_log.request_bytes = 400
    request_log.attempted(TOKEN)
    stream(request_log, *pieces)
    request_log.end()
    assert adopted(unwritten, request_log) == request_log.row(PRICES)


def test_a_whole_chat_without_its_usage_leaves_the_same_row(unwritten: UnwrittenRequests) -> None:
    request_log = RequestLog(12, "/v1/chat/completions", NOON, unwritten)
    request_log.request_bytes = 400
    request_log.attempted(TOKEN)
    body = json.dumps({"model": OPUS, "choices": [{"message": {"content": "x" * 40}}]}).encode()
    headers = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    request_log.answered(200, headers)(body)
    request_log.end()
    row = adopted(unwritten, request_log)
    assert row == request_log.row(PRICES)
    assert (row.usage.input_tokens, row.usage.output_tokens, row.is_estimate) == (100, 10, True)


def test_a_request_without_an_answer_was_killed(
    unwritten: UnwrittenRequests, request_log: RequestLog
) -> None:
    row = adopted(unwritten, request_log)
    assert (row.ending, row.status_code, row.attempts) == ("worker_killed", 500, 1)
    assert (row.model, row.token_id, row.requested_at_ms) == (OPUS, 3, int(NOON * 1000))
    assert row.usage.input_tokens == row.cost_nanousd == 0


def test_a_running_stream_has_what_was_counted_and_an_estimate_of_its_text(
    unwritten: UnwrittenRequests, request_log: RequestLog
) -> None:
    feed = stream(request_log)
    row = adopted(unwritten, request_log)
    assert (row.ending, row.status_code, row.usage.input_tokens) == ("worker_killed", 200, 0)
    feed(START)
    row = adopted(unwritten, request_log)
    assert (row.ending, row.status_code, row.usage.input_tokens) == ("worker_killed", 200, 1000)
    assert row.usage.output_tokens == 1
    for _ in range(300):
        feed(TEXT)
    row = adopted(unwritten, request_log)
    assert 200 <= row.usage.output_tokens <= 300
    assert row.is_estimate
    feed(END)
    assert adopted(unwritten, request_log).usage.output_tokens == 900
    feed(LARGE)
    assert adopted(unwritten, request_log).usage.output_tokens == 900
    feed(STOP)
    request_log.end()
    row = adopted(unwritten, request_log)
    assert (row.ending, row.usage.output_tokens, row.is_estimate) == ("complete", 900, False)


def test_half_an_event_is_none(unwritten: UnwrittenRequests, request_log: RequestLog) -> None:
    stream(request_log, START)
    assert request_log.slot is not None
    kept = request_log.slot.kept
    for cut in range(len(END)):
        kept[len(START) : len(START) + cut] = END[:cut]
        assert adopted(unwritten, request_log).usage.output_tokens == 1
    # Whatever of it was written first.
    kept[len(START) : len(START) + 40] = bytes(40)
    kept[len(START) + 40 : len(START) + len(END)] = END[40:]
    assert adopted(unwritten, request_log).usage.output_tokens == 1


def test_a_running_stream_that_does_not_name_its_model_is_priced_by_the_one_that_was_asked_for(
    unwritten: UnwrittenRequests, request_log: RequestLog
) -> None:
    stream(request_log, event(type="message_start", message={"usage": USAGE}))
    row = adopted(unwritten, request_log)
    assert (row.model, row.usage.model, row.cost_inputs) == (OPUS, OPUS, None)


def test_the_layout_names_what_is_noted() -> None:
    taken = inspect.signature(RequestLog._resume).parameters
    assert tuple(taken)[1:] == PROGRESS
