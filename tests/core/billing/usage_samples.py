"""Answers as Anthropic sends them, and how they are read in tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from airoxy.core.billing.usage import Usage
from airoxy.core.billing.usage_reader import UsageReader

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
