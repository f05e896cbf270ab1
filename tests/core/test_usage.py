"""What an answer says it used, however its bytes are cut."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.core import usage
from airoxy.core.usage import Usage, UsageReader, form_of

STREAM = """\
event: message_start
data: {"type":"message_start","message":{"model":"claude-opus-5-5-20260901","id":"msg_1",\
"type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":25,\
"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":\
{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1,\
"service_tier":"standard","inference_geo":"us","speed":"fast"}}}

event: ping
data: {"type": "ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t",\
"name":"usage","input":{"usage":{"input_tokens":99999},"model":"claude-haiku-4-5"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\u2028b\u2029c\
\\u2028\\n data: {\\"usage\\":{\\"output_tokens\\":77777}}"}}

event: an_event_of_the_future
data: {"type":"an_event_of_the_future","usage":null,"error":null}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_delta
data: {"type":"message_delta","delta":{},"usage":{"input_tokens":26,"output_tokens":40,\
"cache_read_input_tokens":null,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}}

event: message_stop
data: {"type":"message_stop"}

""".encode()

STREAMED = Usage(
    model="claude-opus-5-5-20260901",
    input_tokens=26,
    output_tokens=40,
    cache_write_5m_tokens=10,
    cache_write_1h_tokens=20,
    cache_read_tokens=7,
    web_search_requests=2,
    geo="us",
    speed="fast",
)

BROKEN = (
    STREAM[: STREAM.index(b"event: message_delta")] + b'data: {"type":"message_delta","usage":{'
)

FAILED = (
    STREAM[: STREAM.index(b"event: ping")]
    + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    + b'"message":"Overloaded"},"request_id":"req_1"}\n\n'
)

MESSAGE = {
    "model": "claude-sonnet-5-5",
    "id": "msg_2",
    "type": "message",
    "content": [
        {"type": "text", "text": 'one\u2028two\ud800 "usage": {'},
        {"type": "tool_use", "input": {"usage": {"input_tokens": 5}, "error": {"message": "no"}}},
    ],
    "usage": {"input_tokens": 3, "output_tokens": 4, "cache_creation_input_tokens": 5},
}

ERROR = b'{"type":"error","error":{"type":"not_found_error","message":"model: nope"}}'

RESULTS = b"".join(
    json.dumps({"custom_id": "\u2028", "result": result}).encode() + b"\n"
    for result in (
        {"type": "succeeded", "message": MESSAGE},
        {"type": "errored", "error": {"type": "error", "error": {"message": "bad"}}},
        {"type": "succeeded", "message": {**MESSAGE, "model": "claude-haiku-4-5"}},
        {"type": "succeeded", "message": MESSAGE},
        {"type": "expired"},
        "nonsense",
    )
)

RESULTS_CUT = RESULTS[
    : RESULTS.index(b'{"custom_id": "\\u2028", "result": {"type": "expired"')
].rstrip()

SAMPLES = {
    "a stream": ("sse", STREAM),
    "a stream with CR LF": ("sse", STREAM.replace(b"\n", b"\r\n")),
    "a stream that broke": ("sse", BROKEN),
    "a stream that failed": ("sse", FAILED),
    "a stream without its last line end": ("sse", STREAM.rstrip(b"\n")),
    "a message": ("json", json.dumps(MESSAGE).encode()),
    "a message, indented": ("json", json.dumps(MESSAGE, indent=2).encode()),
    "an error": ("json", ERROR),
    "a batch's results": ("jsonl", RESULTS),
    "a batch's results without the last line end": ("jsonl", RESULTS_CUT),
    "something else": ("none", STREAM),
}


def read(form: str, pieces: Iterable[bytes]) -> UsageReader:
    reader = UsageReader(form)
    for piece in pieces:
        reader.feed(piece)
    reader.close()
    return reader


def seen(reader: UsageReader) -> tuple[Any, ...]:
    return (
        reader.parts,
        reader.model,
        reader.error_message,
        reader.finished,
        reader.resource_id,
    )


def sse(*documents: object) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def parts_of(**said: Any) -> list[Usage]:
    return read("json", [json.dumps({"model": "m", "usage": said}).encode()]).parts


def test_a_stream_is_read() -> None:
    reader = read("sse", [STREAM])
    assert reader.parts == [STREAMED]
    assert reader.model == "claude-opus-5-5-20260901"
    assert reader.finished
    assert reader.error_message is None


def test_what_is_known_so_far_can_be_asked_at_any_time() -> None:
    reader = UsageReader("sse")
    assert (reader.parts, reader.model, reader.finished) == ([], None, False)
    reader.feed(STREAM[: STREAM.index(b"event: ping")])
    (part,) = reader.parts
    assert (part.input_tokens, part.output_tokens) == (25, 1)
    assert reader.model == "claude-opus-5-5-20260901"


def test_a_stream_that_breaks_is_counted_and_not_finished() -> None:
    reader = read("sse", [BROKEN])
    assert [(part.input_tokens, part.output_tokens) for part in reader.parts] == [(25, 1)]
    assert not reader.finished
    assert reader.error_message is None


def test_a_last_line_without_its_end_is_read() -> None:
    assert read("sse", [STREAM.rstrip(b"\n")]).finished
    assert read("jsonl", [RESULTS_CUT]).parts[0].requests == 2


def test_only_a_line_feed_ends_a_line() -> None:
    reader = read("sse", [b'data: {"usage":\r{"input_tokens":\r5}}\r\n'])
    assert [part.input_tokens for part in reader.parts] == [5]


def test_an_error_event_finishes_a_stream() -> None:
    reader = read("sse", [FAILED])
    assert reader.error_message == "Overloaded"
    assert reader.finished
    assert reader.parts[0].input_tokens == 25


def test_a_message_is_read() -> None:
    reader = read("json", [json.dumps(MESSAGE).encode()])
    assert reader.parts == [
        Usage("claude-sonnet-5-5", input_tokens=3, output_tokens=4, cache_write_5m_tokens=5)
    ]
    assert (reader.model, reader.finished, reader.error_message) == (
        "claude-sonnet-5-5",
        True,
        None,
    )


def test_an_error_body_is_read() -> None:
    reader = read("json", [ERROR])
    assert reader.error_message == "model: nope"
    assert (reader.parts, reader.model, reader.finished) == ([], None, True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "Overloaded", "type": "x"}, "Overloaded"),
        ({"type": "overloaded_error"}, "overloaded_error"),
        ({"message": None, "type": "overloaded_error"}, "overloaded_error"),
        ("Bad gateway", "Bad gateway"),
        ({"message": 5}, None),
        ({"message": "x" * 5000}, "x" * 1000),
        ({"message": "half \ud83d"}, "half ?"),
        ([], None),
    ],
)
def test_an_error_message_is_a_bounded_text_that_a_database_takes(error: Any, text: Any) -> None:
    assert read("json", [json.dumps({"error": error}).encode()]).error_message == text


def test_the_results_of_a_batch_are_added_up_by_model_at_batch_price() -> None:
    reader = read("jsonl", [RESULTS])
    assert reader.parts == [
        Usage(
            "claude-sonnet-5-5",
            input_tokens=6,
            output_tokens=8,
            cache_write_5m_tokens=10,
            batch=True,
            requests=2,
        ),
        Usage(
            "claude-haiku-4-5",
            input_tokens=3,
            output_tokens=4,
            cache_write_5m_tokens=5,
            batch=True,
        ),
    ]
    assert reader.model == "claude-sonnet-5-5"
    assert reader.finished
    assert reader.error_message is None


def test_results_are_kept_apart_where_a_price_tier_could_lie_between_them() -> None:
    prompts = [99_001, 100_000, 100_001, 101_000, 101_001]
    lines = [
        {"result": {"message": {"model": "m", "usage": {"input_tokens": prompt}}}}
        for prompt in prompts
    ]
    reader = read("jsonl", [json.dumps(line).encode() + b"\n" for line in lines])
    assert [part.input_tokens for part in reader.parts] == [199_001, 201_001, 101_001]


def test_a_large_batch_takes_little_memory() -> None:
    answer = {"model": "claude-haiku-5-5", "usage": {"input_tokens": 1, "output_tokens": 1}}
    line = json.dumps({"result": {"message": answer}}).encode() + b"\n"
    reader = read("jsonl", [line * 100] * 100)
    (part,) = reader.parts
    assert (part.input_tokens, part.requests) == (10_000, 10_000)


@pytest.mark.parametrize("sample", SAMPLES)
def test_bytes_one_by_one_read_the_same(sample: str) -> None:
    form, body = SAMPLES[sample]
    pieces = [body[i : i + 1] for i in range(len(body))]
    assert seen(read(form, pieces)) == seen(read(form, [body]))


@pytest.mark.parametrize("sample", SAMPLES)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_any_pieces_read_the_same(sample: str, data: st.DataObject) -> None:
    form, body = SAMPLES[sample]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert seen(read(form, pieces)) == seen(read(form, [body]))


@pytest.mark.parametrize("sample", ["a stream", "a stream that failed", "a batch's results"])
@given(tail=st.binary(max_size=40), cut=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_trailing_bytes_change_nothing(sample: str, tail: bytes, cut: int) -> None:
    form, body = SAMPLES[sample]
    assert seen(read(form, [body + tail[:cut], tail[cut:]])) == seen(read(form, [body]))


@pytest.mark.parametrize("form", ["sse", "json", "jsonl", "none"])
@given(
    st.lists(st.binary(max_size=80) | st.sampled_from([b"data: ", b'{"usage":', b"\n", b"[" * 9]))
)
@settings(deadline=None)
def test_nonsense_is_no_usage_and_no_failure(form: str, pieces: list[bytes]) -> None:
    reader = read(form, pieces)
    assert reader.parts == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["usage", "message", "model", "error", "type", "id", "iterations", "input_tokens",
             "cache_creation", "server_tool_use", "service_tier", "speed", "result"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
@given(value=json_values)
@settings(deadline=None)
def test_json_of_any_shape_is_no_failure(form: str, value: Any) -> None:
    text = json.dumps({"usage": value, "message": value, "error": value, "type": value})
    result = json.dumps({"result": {"message": {"usage": value, "model": value}}})
    body = {"json": text, "sse": f"data: {text}\n", "jsonl": f"{text}\n{result}\n"}[form]
    reader = read(form, [body.encode()])
    for part in reader.parts:
        assert part.model is None or type(part.model) is str
        assert type(part.input_tokens) is int
        assert part.input_tokens >= 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"<html>",
        b'{"usage":{"input_tokens":5}',
        b'\xff\xfe{"usage"',
        b'{"usage":' + b"[" * 200_000,
        b'{"usage":{"input_tokens":' + b"9" * 5000 + b"}}",
        b'{"usage":' + b'{"cache_creation":' * 900 + b"1" + b"}" * 901,
    ],
)
@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
def test_a_body_that_is_not_what_it_claims_does_no_harm(form: str, body: bytes) -> None:
    reader = read(form, [b"data: " + body + b"\n" if form == "sse" else body])
    assert reader.parts == []


@pytest.mark.parametrize("odd", ["7", 7.0, -7, True, [7], {"n": 7}, None, 10**12])
def test_a_count_of_the_wrong_type_keeps_the_earlier_one(odd: object) -> None:
    body = sse({"usage": {"input_tokens": 5}}, {"usage": {"input_tokens": odd}})
    assert [part.input_tokens for part in read("sse", [body]).parts] == [5]
    assert parts_of(input_tokens=odd) == []
    assert parts_of(cache_creation=odd, server_tool_use=odd, iterations=odd) == []


def test_without_the_split_cache_writes_are_of_five_minutes() -> None:
    (part,) = parts_of(cache_creation_input_tokens=50)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (50, 0)


def test_what_the_split_leaves_out_is_of_five_minutes() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    (part,) = parts_of(cache_creation_input_tokens=50, cache_creation=split)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (30, 20)


@pytest.mark.parametrize("sum_", [{}, {"cache_creation_input_tokens": 5}])
def test_a_split_that_says_more_than_the_sum_is_believed(sum_: dict[str, int]) -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    (part,) = parts_of(**sum_, cache_creation=split)
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (10, 20)


def test_a_delta_without_the_split_keeps_it() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    first = {"cache_creation_input_tokens": 30, "cache_creation": split}
    body = sse({"usage": first}, {"usage": {"cache_creation_input_tokens": 35}})
    (part,) = read("sse", [body]).parts
    assert (part.cache_write_5m_tokens, part.cache_write_1h_tokens) == (15, 20)


def test_batch_service_is_told_by_its_tier() -> None:
    assert parts_of(input_tokens=1, service_tier="batch")[0].batch
    assert not parts_of(input_tokens=1, service_tier="priority")[0].batch


ITERATIONS = [
    {"type": "message", "model": "claude-fable-5-1", "input_tokens": 100, "output_tokens": 20,
     "cache_creation": {"ephemeral_1h_input_tokens": 9}},
    {"type": "message", "input_tokens": 120, "output_tokens": 400,
     "server_tool_use": {"web_search_requests": 3}},
]  # fmt: skip


def test_each_iteration_is_a_part_with_its_own_model() -> None:
    parts = parts_of(
        input_tokens=120,
        output_tokens=400,
        service_tier="batch",
        inference_geo="us",
        server_tool_use={"web_search_requests": 3},
        iterations=ITERATIONS,
    )
    assert parts == [
        Usage(
            "claude-fable-5-1",
            input_tokens=100,
            output_tokens=20,
            cache_write_1h_tokens=9,
            batch=True,
            geo="us",
        ),
        Usage(
            "m",
            input_tokens=120,
            output_tokens=400,
            web_search_requests=3,
            batch=True,
            geo="us",
        ),
    ]


@pytest.mark.parametrize("iterations", [None, [], {}, [None, "x", {}, {"input_tokens": "5"}]])
def test_iterations_that_say_nothing_leave_the_top_level(iterations: object) -> None:
    assert parts_of(input_tokens=120, iterations=iterations) == [Usage("m", input_tokens=120)]


def test_the_last_iterations_of_a_stream_count() -> None:
    body = sse(
        {"message": {"model": "m", "usage": {"input_tokens": 5, "iterations": ITERATIONS[:1]}}},
        {"usage": {"output_tokens": 400, "iterations": ITERATIONS}},
    )
    parts = read("sse", [body]).parts
    assert [(part.model, part.output_tokens) for part in parts] == [
        ("claude-fable-5-1", 20),
        ("m", 400),
    ]


def test_a_top_level_newer_than_the_iterations_describes_the_last_of_them() -> None:
    body = sse(
        {"message": {"model": "m", "usage": {"iterations": ITERATIONS}}},
        {"usage": {"output_tokens": 500}},
    )
    assert [part.output_tokens for part in read("sse", [body]).parts] == [20, 500]


def test_the_id_of_a_created_batch_or_file_is_told() -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    file = {"id": "file_1", "type": "file", "filename": "usage"}
    page = {"data": [file], "first_id": "file_1"}
    ids = [read("json", [json.dumps(doc).encode()]).resource_id for doc in (batch, file, page)]
    assert ids == ["msgbatch_1", "file_1", None]


def test_counted_tokens_are_no_usage() -> None:
    assert read("json", [b'{"input_tokens":2095}']).parts == []


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_a_line_beyond_its_bound_is_skipped_to_its_end(
    size: int, over: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MAX_LINE", 2000)
    head, tail = b'data: {"usage":{"input_tokens":5},"text":"', b'"}'
    line = head + b"x" * (2000 + over - len(head) - len(tail)) + tail
    body = line + b"\n" + sse({"usage": {"output_tokens": 1}})
    reader = read("sse", [body[i : i + size] for i in range(0, len(body), size)])
    assert [(part.input_tokens, part.output_tokens) for part in reader.parts] == [
        (0 if over else 5, 1)
    ]


@pytest.mark.parametrize("form", ["sse", "json", "jsonl"])
def test_a_body_without_end_takes_bounded_memory(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("MAX_LINE", "MAX_RESULT_LINE", "MAX_BODY"):
        monkeypatch.setattr(usage, bound, 1 << 18)
    reader, piece = UsageReader(form), b'"usage"' * 8192
    tracemalloc.start()
    try:
        for _ in range(200):
            reader.feed(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    reader.close()
    assert peak < 1 << 20
    assert reader.parts == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_body_beyond_its_bound_is_not_counted(over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(MESSAGE).encode()
    monkeypatch.setattr(usage, "MAX_BODY", len(body) - over)
    assert len(read("json", [body[:50], body[50:]]).parts) == 1 - over
    assert len(read("json", [body, b"\n" * over]).parts) == 1 - over


@pytest.mark.parametrize(
    ("path", "status", "content_type", "form"),
    [
        ("/v1/messages", 200, "text/event-stream; charset=utf-8", "sse"),
        ("/v1/messages", 200, "Text/Event-Stream", "sse"),
        ("/v1/messages?beta=true", 200, "application/json", "json"),
        ("/v1/messages/", 200, "application/json; charset=utf-8", "json"),
        ("/v1/messages", 200, "text/plain", "none"),
        ("/v1/messages", 200, "", "none"),
        ("/v1/messages/batches/msgbatch_1/results", 200, "application/x-jsonl", "jsonl"),
        ("/v1/messages/batches/msgbatch_1/results", 200, "binary/octet-stream", "jsonl"),
        ("/v1/messages/batches/msgbatch_1/results", 404, "application/json", "json"),
        ("/v1/messages/batches", 200, "application/json", "json"),
        ("/v1/messages/batches/msgbatch_1", 200, "application/json", "json"),
        ("/v1/messages/batches/msgbatch_1/cancel", 200, "application/json", "json"),
        ("/v1/files", 200, "application/json", "json"),
        ("/v1/files/file_1", 200, "application/json", "json"),
        ("/v1/files/file_1/content", 200, "application/json", "none"),
        ("/v1/files/file_1/content", 200, "text/event-stream", "none"),
        ("/v1/files/file_1/content", 404, "application/json", "json"),
        ("/v1/messages/count_tokens", 200, "application/json", "none"),
        ("/v1/messages/count_tokens", 429, "application/json", "json"),
        ("/v1/models", 200, "application/json", "none"),
        ("/v1/anything", 500, "application/problem+json", "json"),
        ("/v1/messages", 502, "text/html", "none"),
        ("/v1/messages", 304, "", "none"),
    ],
)
def test_the_form_of_an_answer(path: str, status: int, content_type: str, form: str) -> None:
    assert form_of(path, status, content_type) == form
