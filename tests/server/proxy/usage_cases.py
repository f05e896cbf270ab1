"""Answers of every kind, and what their rows in the usage log say."""

from __future__ import annotations

import json
from typing import Any

from tests.core.billing.usage_samples import sse

JSON, HTML = ("Content-Type", "application/json"), ("Content-Type", "text/html; charset=utf-8")
EVENTS, CHAT = ("Content-Type", "text/event-stream"), "/v1/chat/completions"
OPUS = "claude-opus-5-5"
ASKED = {"model": OPUS, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


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
