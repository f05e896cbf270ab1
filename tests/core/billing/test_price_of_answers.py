"""What whole answers cost: messages, streams and the results of batches, as Anthropic sends them.

The expected figures are worked out by hand, as in `test_pricing`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from airoxy.core.billing.pricing import cost_nanousd
from airoxy.core.billing.usage_reader import UsageReader
from tests.core.billing.pricing_samples import NOVEMBER, SHIPPED


def message(model: str | None, **counts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "model": model, "usage": counts}


def plain(model: str | None, **counts: Any) -> tuple[str, bytes]:
    return "json", json.dumps(message(model, **counts)).encode()


def streamed(*events: dict[str, Any]) -> tuple[str, bytes]:
    lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return "sse", "".join(lines).encode()


def start(model: str | None, **counts: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": message(model, **counts)}


def text() -> dict[str, Any]:
    delta = {"type": "text_delta", "text": '"usage": {"output_tokens": 9999}'}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def delta(**counts: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}


STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def results(*messages: dict[str, Any] | None) -> tuple[str, bytes]:
    lines = [
        {"custom_id": str(number), "result": {"type": "succeeded", "message": answer}}
        if answer
        else {"custom_id": str(number), "result": {"type": "errored", "error": {"type": "error"}}}
        for number, answer in enumerate(messages)
    ]
    return "jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode()


ANSWERS = {
    # 1,000 x 5,000 + 500 x 25,000
    "plain": (plain("claude-opus-5", input_tokens=1_000, output_tokens=500), 17_500_000),
    # 10 x 2,000 + 2,000 x 2,500 + 30,000 x 100 + 400 x 10,000
    "plain with a cache": (
        plain(
            "claude-sonnet-5-5-20261001",
            input_tokens=10,
            cache_creation_input_tokens=2_000,
            cache_read_input_tokens=30_000,
            output_tokens=400,
            service_tier="standard",
            inference_geo="not_available",
        ),
        12_020_000,
    ),
    # 1,500 x 2,500 + 500 x 4,000
    "plain with the write split": (
        plain(
            "claude-sonnet-5-5",
            input_tokens=0,
            cache_creation_input_tokens=2_000,
            cache_creation={"ephemeral_5m_input_tokens": 1_500, "ephemeral_1h_input_tokens": 500},
            output_tokens=0,
        ),
        5_750_000,
    ),
    # 500 x 4,000, and the 1,500 that the split leaves out x 2,500
    "plain with a split that leaves some out": (
        plain(
            "claude-sonnet-5-5",
            cache_creation_input_tokens=2_000,
            cache_creation={"ephemeral_1h_input_tokens": 500},
        ),
        5_750_000,
    ),
    # (1,000 x 4,000 + 100 x 20,000) / 2
    "plain with batch service": (
        plain("claude-opus-5-5", input_tokens=1_000, output_tokens=100, service_tier="batch"),
        3_000_000,
    ),
    # (1,000 x 8,000 + 100 x 40,000) x 1.1
    "plain, fast, in the US": (
        plain(
            "claude-opus-5-5",
            input_tokens=1_000,
            output_tokens=100,
            speed="fast",
            inference_geo="us",
        ),
        13_200_000,
    ),
    # 5 x 10,000,000 + 1,000 x 3,000 + 100 x 15,000; fetches are free
    "plain with server tools": (
        plain(
            "claude-sonnet-4-6",
            input_tokens=1_000,
            output_tokens=100,
            server_tool_use={"web_search_requests": 5, "web_fetch_requests": 7},
        ),
        54_500_000,
    ),
    # 25 x 1,000 + 15 x 5,000: the last output count, not the sum
    "a stream": (
        streamed(
            start("claude-haiku-4-5", input_tokens=25, output_tokens=1),
            PING,
            text(),
            delta(output_tokens=15),
            STOP,
        ),
        100_000,
    ),
    # 25 x 1,000 + 40 x 5,000
    "a stream with cumulative deltas": (
        streamed(
            start("claude-haiku-4-5", input_tokens=25, output_tokens=1),
            delta(output_tokens=15),
            text(),
            delta(output_tokens=40),
            STOP,
        ),
        225_000,
    ),
    # 2,679 x 5,000 + 510 x 25,000 + 1 x 10,000,000
    "a stream with a server tool": (
        streamed(
            start("claude-opus-5", input_tokens=100, output_tokens=3),
            text(),
            delta(
                input_tokens=2_679,
                cache_creation_input_tokens=None,
                output_tokens=510,
                server_tool_use={"web_search_requests": 1},
            ),
            STOP,
        ),
        36_145_000,
    ),
    # 10 x 4,000 + 100 x 5,000 + 200 x 8,000 + 7,000 x 200 + 50 x 20,000
    "a stream with a split write at its start": (
        streamed(
            start(
                "claude-opus-5-5[1m]",
                input_tokens=10,
                cache_creation_input_tokens=300,
                cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
                cache_read_input_tokens=7_000,
                output_tokens=2,
            ),
            delta(cache_creation_input_tokens=300, output_tokens=50),
            STOP,
        ),
        4_540_000,
    ),
    # 1,000 x 8,000 + 2 x 40,000
    "a stream that broke after its start": (
        streamed(start("claude-fable-5-2", input_tokens=1_000, output_tokens=2)),
        8_080_000,
    ),
    # 1,000 x 8,000 + 300 x 40,000
    "a stream that ended in an error": (
        streamed(
            start("claude-fable-5-2", input_tokens=1_000, output_tokens=2),
            delta(output_tokens=300),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ),
        20_000_000,
    ),
    # 100,000 x 100 + 10 x 500
    "a stream of Haiku 5.5 at 100,000": (
        streamed(
            start("claude-haiku-5-5", input_tokens=40_000, cache_read_input_tokens=0),
            delta(input_tokens=100_000, output_tokens=10),
            STOP,
        ),
        10_005_000,
    ),
    # 40,000 x 500 + 60,001 x 50 + 10 x 2,500
    "a stream of Haiku 5.5 that grew over 100,000": (
        streamed(
            start("claude-haiku-5-5", input_tokens=40_000, cache_read_input_tokens=0),
            delta(cache_read_input_tokens=60_001, output_tokens=10),
            STOP,
        ),
        23_025_050,
    ),
    # 100 x 10,000 + 20 x 50,000 refused, then 120 x 5,000 + 400 x 25,000
    "iterations of two models": (
        plain(
            "claude-opus-4-8",
            input_tokens=120,
            output_tokens=400,
            iterations=[
                {
                    "type": "message",
                    "model": "claude-fable-5-1",
                    "input_tokens": 100,
                    "output_tokens": 20,
                },
                {
                    "type": "fallback_message",
                    "model": "claude-opus-4-8",
                    "input_tokens": 120,
                    "output_tokens": 400,
                },
            ],
        ),
        12_600_000,
    ),
    # (180,000 + 23,000) x 3,000 + (3,500 + 1,000) x 15,000 + 2 x 10,000,000
    "iterations of one model with server tools, in a stream": (
        streamed(
            start("claude-sonnet-4-6", input_tokens=23_000, output_tokens=1),
            delta(
                input_tokens=23_000,
                output_tokens=1_000,
                server_tool_use={"web_search_requests": 2},
                iterations=[
                    {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                    {
                        "type": "message",
                        "input_tokens": 23_000,
                        "output_tokens": 1_000,
                        "server_tool_use": {"web_search_requests": 2},
                    },
                ],
            ),
            STOP,
        ),
        696_500_000,
    ),
    # 60,000 x 100 and 70,000 x 100, though 130,000 together
    "iterations of Haiku 5.5 have a prompt each": (
        plain(
            "claude-haiku-5-5",
            input_tokens=70_000,
            iterations=[{"input_tokens": 60_000}, {"input_tokens": 70_000}],
        ),
        13_000_000,
    ),
    # (1,000 x 5,000 + 100 x 25,000 + 2,000 x 1,000 + 100 x 5,000) / 2
    "results of a batch": (
        results(
            message("claude-opus-5", input_tokens=1_000, output_tokens=100),
            None,
            message(
                "claude-haiku-4-5", input_tokens=2_000, output_tokens=100, service_tier="batch"
            ),
        ),
        5_000_000,
    ),
    # (99,500 + 100,000) x 100 / 2 + 2 x 100,001 x 500 / 2
    "results of a batch of Haiku 5.5": (
        results(
            *(
                message("claude-haiku-5-5", input_tokens=count)
                for count in (99_500, 100_001, 100_000, 100_001)
            )
        ),
        59_975_500,
    ),
    # 1,000 x 5,000 + 100 x 25,000
    "an unknown model": (
        plain("claude-nova-1", input_tokens=1_000, output_tokens=100),
        7_500_000,
    ),
    "an answer without a model": (plain(None, input_tokens=1_000, output_tokens=100), 7_500_000),
    "an answer without usage": (("json", b'{"type":"message","model":"claude-opus-5"}'), 0),
    "counted tokens": (("json", b'{"input_tokens": 2095}'), 0),
    "an error": (("json", b'{"type":"error","error":{"type":"api_error","message":"x"}}'), 0),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_cost(case: str) -> None:
    (form, body), nanousd = ANSWERS[case]
    reader = UsageReader(form)
    reader.feed(body)
    reader.close()
    assert cost_nanousd(reader.parts, SHIPPED, NOVEMBER) == nanousd
