"""What usage costs, to the nano-dollar.

The expected figures are worked out by hand from Anthropic's price page: a price in dollars per
million tokens, times a thousand, is nano-dollars per token.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.pricing import PriceTable, cost_nanousd
from airoxy.core.usage import Usage, UsageReader, total

PRICES = Path(__file__).parents[2] / "etc" / "prices.yaml"
SHIPPED = PriceTable.parse(yaml.safe_load(PRICES.read_text(encoding="utf-8")))
NOVEMBER = date(2026, 11, 10)


def usage(model: str | None, *counts: int, **more: Any) -> Usage:
    """`counts` as the price page has its columns: input, write 5m, write 1h, read, output."""
    names = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
    named = {f"{name}_tokens": count for name, count in zip(names, counts, strict=False)}
    return Usage(model=model, **named, **more)


# Every model: 1,000 input, 100 written for 5 minutes, 10 for an hour, 10,000 read, 200 output.
EVERY_MODEL = [
    # 8,000,000 + 1,000,000 + 160,000 + 2,000,000 + 8,000,000
    ("claude-fable-5-2", NOVEMBER, 19_160_000),
    ("claude-mythos-5-2", NOVEMBER, 19_160_000),
    ("claude-fable-5-2", date(2026, 11, 9), 19_160_000),
    # 10,000,000 + 1,250,000 + 200,000 + 2,500,000 + 10,000,000
    ("claude-fable-5-1", NOVEMBER, 23_950_000),
    ("claude-mythos-5-1", NOVEMBER, 23_950_000),
    # 10,000,000 + 1,250,000 + 200,000 + 10,000,000 + 10,000,000
    ("claude-fable-5", NOVEMBER, 31_450_000),
    ("claude-mythos-5", NOVEMBER, 31_450_000),
    # 4,000,000 + 500,000 + 80,000 + 2,000,000 + 4,000,000
    ("claude-opus-5-5", NOVEMBER, 10_580_000),
    # 5,000,000 + 625,000 + 100,000 + 5,000,000 + 5,000,000
    ("claude-opus-5", NOVEMBER, 15_725_000),
    ("claude-opus-4-8", NOVEMBER, 15_725_000),
    ("claude-opus-4-7", NOVEMBER, 15_725_000),
    ("claude-opus-4-6", NOVEMBER, 15_725_000),
    ("claude-opus-4-5", NOVEMBER, 15_725_000),
    # 15,000,000 + 1,875,000 + 300,000 + 15,000,000 + 15,000,000
    ("claude-opus-4-1", NOVEMBER, 47_175_000),
    ("claude-opus-4", NOVEMBER, 47_175_000),
    # 2,000,000 + 250,000 + 40,000 + 1,000,000 + 2,000,000
    ("claude-sonnet-5-5", NOVEMBER, 5_290_000),
    ("claude-sonnet-5-5", date(2026, 10, 7), 5_290_000),
    # 2,000,000 + 250,000 + 40,000 + 2,000,000 + 2,000,000
    ("claude-sonnet-5-5", date(2026, 10, 6), 6_290_000),
    ("claude-sonnet-5", NOVEMBER, 6_290_000),
    # 3,000,000 + 375,000 + 60,000 + 3,000,000 + 3,000,000
    ("claude-sonnet-4-6", NOVEMBER, 9_435_000),
    ("claude-sonnet-4-5", NOVEMBER, 9_435_000),
    ("claude-sonnet-4", NOVEMBER, 9_435_000),
    # 100,000 + 12,500 + 2,000 + 100,000 + 100,000
    ("claude-haiku-5-5", NOVEMBER, 314_500),
    # 1,000,000 + 125,000 + 20,000 + 1,000,000 + 1,000,000
    ("claude-haiku-4-5", NOVEMBER, 3_145_000),
    # 800,000 + 100,000 + 16,000 + 800,000 + 800,000
    ("claude-haiku-3-5", NOVEMBER, 2_516_000),
    ("claude-3-5-haiku-20241022", NOVEMBER, 2_516_000),
    # 250,000 + 31,250 + 5,000 + 250,000 + 250,000
    ("claude-3-haiku", NOVEMBER, 786_250),
    # Names with a date, a word or Claude Code's suffix
    ("claude-opus-4-5-20251101", NOVEMBER, 15_725_000),
    ("claude-opus-4-20250514", NOVEMBER, 47_175_000),
    ("claude-opus-4-1-20250805", NOVEMBER, 47_175_000),
    ("claude-sonnet-4-20250514", NOVEMBER, 9_435_000),
    ("claude-sonnet-4-5-20250929[1m]", NOVEMBER, 9_435_000),
    ("claude-sonnet-5-5-latest", NOVEMBER, 5_290_000),
    ("claude-opus-5-5[1m]", NOVEMBER, 10_580_000),
    ("claude-fable-5-2-20261109", NOVEMBER, 19_160_000),
    # Before its first day, a name is as good as unheard of, and the next shorter one counts.
    ("claude-fable-5-2", date(2026, 11, 8), 31_450_000),
    # Unknown: 5 and 25, cache as Opus 5 has it
    ("claude-sonnet-9", NOVEMBER, 15_725_000),
    ("claude-haiku-5", NOVEMBER, 15_725_000),
    ("Claude-Sonnet-5", NOVEMBER, 15_725_000),
    ("", NOVEMBER, 15_725_000),
    (None, NOVEMBER, 15_725_000),
]


@pytest.mark.parametrize(("model", "on", "nanousd"), EVERY_MODEL)
def test_every_model_has_the_price_of_its_row(model: str | None, on: date, nanousd: int) -> None:
    part = usage(model, 1_000, 100, 10, 10_000, 200)
    assert cost_nanousd([part], SHIPPED, on) == nanousd
    part.batch = True
    assert cost_nanousd([part], SHIPPED, on) == nanousd // 2


ALL_FIVE = (1_000, 100, 10, 10_000, 200)
PARTS = {
    "nothing costs nothing": ([], 0),
    "no tokens cost nothing": ([usage("claude-opus-5")], 0),
    "no tokens of an unknown model cost nothing": ([usage(None)], 0),
    # 312.5
    "half a nano-dollar is rounded up": ([usage("claude-3-haiku", 0, 1)], 313),
    # 156.25
    "less than half is rounded down": ([usage("claude-3-haiku", 0, 1, batch=True)], 156),
    # 312.5 + 312.5, not 313 + 313
    "rounding happens once": ([usage("claude-3-haiku", 0, 1)] * 2, 625),
    # 312.5 + 10 x 1.1 x 1/2 + 50 = 312.5 + 5.5 + 50
    "parts of different prices add up before rounding": (
        [
            usage("claude-3-haiku", 0, 1),
            usage("claude-haiku-5-5", 0, 0, 0, 1, geo="us", batch=True),
            usage("claude-3-haiku", 0, 0, 0, 2),
        ],
        368,
    ),
    # 3,000 x 1.1
    "a token in the US": ([usage("claude-sonnet-4-6", 1, geo="us")], 3_300),
    # 10,580,000 x 1.1
    "Opus 5.5 in the US": ([usage("claude-opus-5-5", *ALL_FIVE, geo="us")], 11_638_000),
    # 314,500 x 1.1
    "Haiku 5.5 in the US": ([usage("claude-haiku-5-5", *ALL_FIVE, geo="us")], 345_950),
    # 125 x 1.1 = 137.5
    "the US factor is exact": ([usage("claude-haiku-5-5", 0, 1, geo="us")], 138),
    "anywhere else there is no factor": (
        [usage("claude-opus-5-5", *ALL_FIVE, geo="global")],
        10_580_000,
    ),
    "models before 4.6 have no US factor": (
        [usage("claude-opus-4-5", *ALL_FIVE, geo="us")],
        15_725_000,
    ),
    "Haiku 4.5 has no US factor": ([usage("claude-haiku-4-5", *ALL_FIVE, geo="us")], 3_145_000),
    # An answer from the US can only be a newer model's: 15,725,000 x 1.1
    "an unknown model in the US": ([usage("claude-x", *ALL_FIVE, geo="us")], 17_297_500),
    # 1,000 x 8,000 + 100 x 10,000 + 10 x 16,000 + 10,000 x 400 + 200 x 40,000
    "fast Opus 5.5": ([usage("claude-opus-5-5", *ALL_FIVE, speed="fast")], 21_160_000),
    # 1,000 x 10,000 + 100 x 12,500 + 10 x 20,000 + 10,000 x 1,000 + 200 x 50,000
    "fast Opus 5": ([usage("claude-opus-5", *ALL_FIVE, speed="fast")], 31_450_000),
    "fast Opus 4.8": ([usage("claude-opus-4-8-20260801", *ALL_FIVE, speed="fast")], 31_450_000),
    "Opus 4.7 has no fast price": ([usage("claude-opus-4-7", *ALL_FIVE, speed="fast")], 15_725_000),
    "standard speed is no surcharge": (
        [usage("claude-opus-5-5", *ALL_FIVE, speed="standard")],
        10_580_000,
    ),
    # 21,160,000 x 1.1
    "fast in the US": (
        [usage("claude-opus-5-5", *ALL_FIVE, speed="fast", geo="us")],
        23_276_000,
    ),
    # 21,160,000 x 1.1 / 2
    "fast in the US as a batch": (
        [usage("claude-opus-5-5", *ALL_FIVE, speed="fast", geo="us", batch=True)],
        11_638_000,
    ),
    # 100,000 x 100
    "Haiku 5.5 with 100,000 tokens": ([usage("claude-haiku-5-5", 100_000)], 10_000_000),
    # 100,001 x 500
    "Haiku 5.5 with 100,001 tokens": ([usage("claude-haiku-5-5", 100_001)], 50_000_500),
    # 60,000 x 100 + 6,000 x 125 + 4,000 x 200 + 30,000 x 10 + 1,000 x 500
    "cache tokens are part of the prompt, at 100,000": (
        [usage("claude-haiku-5-5", 60_000, 6_000, 4_000, 30_000, 1_000)],
        8_350_000,
    ),
    # 60,000 x 500 + 6,000 x 625 + 4,000 x 1,000 + 30,001 x 50 + 1,000 x 2,500
    "cache tokens are part of the prompt, at 100,001": (
        [usage("claude-haiku-5-5", 60_000, 6_000, 4_000, 30_001, 1_000)],
        41_750_050,
    ),
    # 100 + 200,000 x 500
    "output is no part of the prompt": (
        [usage("claude-haiku-5-5", 1, 0, 0, 0, 200_000)],
        100_000_100,
    ),
    # 100,001 x 500 x 1.1 / 2 = 27,500,275
    "a large prompt of a batch in the US": (
        [usage("claude-haiku-5-5", 100_001, geo="us", batch=True)],
        27_500_275,
    ),
    # 2 x 60,000 x 100
    "each part has its own prompt": ([usage("claude-haiku-5-5", 60_000)] * 2, 12_000_000),
    # 180,000 x 100
    "requests added up have their own prompts": (
        [usage("claude-haiku-5-5", 180_000, requests=2)],
        18_000_000,
    ),
    # 200,002 x 500
    "large requests added up stay large": (
        [usage("claude-haiku-5-5", 200_002, requests=2)],
        100_001_000,
    ),
    # 3 x 10,000,000
    "web searches": ([usage("claude-opus-5-5", web_search_requests=3)], 30_000_000),
    # 3 x 5,000,000
    "web searches of a batch": (
        [usage("claude-opus-5-5", web_search_requests=3, batch=True)],
        15_000_000,
    ),
    # 3 x 10,000,000 + 1,000 x 8,000 x 1.1
    "web searches cost the same in the US and fast": (
        [usage("claude-opus-5-5", 1_000, web_search_requests=3, geo="us", speed="fast")],
        38_800_000,
    ),
    # 10,000,000 + 5,000
    "web searches of an unknown model": ([usage("x", 1, web_search_requests=1)], 10_005_000),
    # 1,000,000,000 x 75,000
    "large counts": ([usage("claude-opus-4", 0, 0, 0, 0, 10**9)], 75_000_000_000_000),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_cost(case: str) -> None:
    parts, nanousd = PARTS[case]
    assert cost_nanousd(parts, SHIPPED, NOVEMBER) == nanousd


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
        streamed(start("claude-fable-5-2", input_tokens=1_000, output_tokens=2), text()),
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


def test_only_models_with_a_row_are_known() -> None:
    assert SHIPPED.knows("claude-opus-5-5-20261001", NOVEMBER)
    assert not SHIPPED.knows("claude-nova-1", NOVEMBER)
    assert not SHIPPED.knows("", NOVEMBER)
    assert not SHIPPED.knows(None, NOVEMBER)


def test_the_longest_name_and_the_newest_row_in_force_count() -> None:
    price = SHIPPED.price_for("claude-sonnet-5-5-latest", date(2026, 12, 24))
    assert price is not None
    assert (price.model, price.since) == ("claude-sonnet-5-5", date(2026, 10, 7))
    assert price.rates.read == Fraction(1, 10)


ROW = {"model": "claude-x", "input": 1, "write_5m": 2, "write_1h": 3, "read": 4, "output": 5}


def test_a_row_of_the_configuration_overrides_the_same_model_and_date_and_adds_others() -> None:
    ours = PriceTable.parse(
        [
            {**ROW, "model": "claude-sonnet-5-5", "input": 7},
            {**ROW, "model": "claude-opus-5-5", "from": "2026-12-01", "input": 8},
            {**ROW, "model": ["claude-x", "claude-y"], "input": 9},
            {"web_search": 20, "from": date(2026, 12, 1)},
        ]
    )
    merged = SHIPPED.merged(ours)

    def input_price(model: str, on: date) -> int:
        return cost_nanousd([usage(model, 1)], merged, on)

    assert input_price("claude-sonnet-5-5", date(2026, 10, 6)) == 7_000
    assert input_price("claude-sonnet-5-5", date(2026, 10, 7)) == 2_000
    assert input_price("claude-opus-5-5", date(2026, 11, 30)) == 4_000
    assert input_price("claude-opus-5-5", date(2026, 12, 1)) == 8_000
    assert input_price("claude-y-latest", NOVEMBER) == 9_000
    assert input_price("claude-haiku-4-5", NOVEMBER) == 1_000
    search = [usage(None, web_search_requests=1)]
    assert cost_nanousd(search, merged, date(2026, 11, 30)) == 10_000_000
    assert cost_nanousd(search, merged, date(2026, 12, 1)) == 20_000_000
    assert cost_nanousd([usage("claude-x", 1)], SHIPPED, NOVEMBER) == 5_000


def test_a_longer_name_counts_before_a_newer_row_of_a_shorter_one() -> None:
    ours = PriceTable.parse([{**ROW, "model": "claude-opus-5", "from": "2026-11-01", "input": 9}])
    merged = SHIPPED.merged(ours)
    assert cost_nanousd([usage("claude-opus-5-5", 1)], merged, NOVEMBER) == 4_000
    assert cost_nanousd([usage("claude-opus-5-20260601", 1)], merged, NOVEMBER) == 9_000


def test_an_empty_table_charges_all_the_same() -> None:
    part = usage("claude-opus-5", *ALL_FIVE, web_search_requests=1)
    assert cost_nanousd([part], PriceTable.parse([]), NOVEMBER) == 25_725_000


@pytest.mark.parametrize("tenth", [0.1, "0.1", "0.10", Decimal("0.1")])
def test_a_price_is_the_decimal_that_was_written(tenth: object) -> None:
    table = PriceTable.parse([{**ROW, "input": tenth}])
    price = table.price_for("claude-x", NOVEMBER)
    assert price is not None
    assert price.rates.input == Fraction(1, 10)


def test_a_fast_price_need_not_come_out_even() -> None:
    table = PriceTable.parse([{**ROW, "input": 3, "read": 1, "fast": {"input": 10, "output": 5}}])
    # 1 x 10/3 dollars a million: three reads are 10,000 nano-dollars, one is 3,333.33
    assert cost_nanousd([usage("claude-x", 0, 0, 0, 3, speed="fast")], table, NOVEMBER) == 10_000
    assert cost_nanousd([usage("claude-x", 0, 0, 0, 1, speed="fast")], table, NOVEMBER) == 3_333


def test_tiers_may_stand_in_any_order() -> None:
    rates = {key: ROW[key] for key in ROW if key != "model"}
    tiers = [{**rates, "over": 1_000, "input": 2}, {**rates, "over": 5_000, "input": 3}]
    for order in (tiers, tiers[::-1]):
        table = PriceTable.parse([{**ROW, "tiers": order}])
        costs = [cost_nanousd([usage("claude-x", n)], table, NOVEMBER) for n in (1_000, 1_001)]
        assert costs == [1_000_000, 2_002_000]
        assert cost_nanousd([usage("claude-x", 5_001)], table, NOVEMBER) == 15_003_000


MISTAKES = [
    ({"input": 1}, "row 1: model: must be a model's name or a list of names"),
    ({**ROW, "model": []}, "row 1 ([]): model: must be"),
    ({**ROW, "model": [1]}, "row 1 ([1]): model: must be"),
    ({"model": "claude-x"}, "row 1 (claude-x): input: is missing"),
    ({**ROW, "input": None}, "row 1 (claude-x): input: must be a number from 0 to"),
    ({**ROW, "input": "5 dollars"}, "input: must be a number"),
    ({**ROW, "input": -1}, "input: must be a number"),
    ({**ROW, "input": True}, "input: must be a number"),
    ({**ROW, "input": float("nan")}, "input: must be a number"),
    ({**ROW, "input": "1e999999999"}, "input: must be a number"),
    ({**ROW, "input": "1e-999999999"}, "input: has more than 9 decimals"),
    ({**ROW, "from": "yesterday"}, "from: must be a day such as 2026-10-07, not 'yesterday'"),
    ({**ROW, "from": 2026}, "from: must be a day"),
    ({**ROW, "inputs": 1}, "inputs: no such key; known are model, from, input"),
    ({**ROW, "web_search": 1}, "web_search: no such key"),
    ({**ROW, "fast": 3}, "fast: must be a mapping"),
    ({**ROW, "fast": {"input": 3}}, "fast: output: is missing"),
    ({**ROW, "input": 0, "fast": {"input": 3, "output": 4}}, "fast: needs input prices above 0"),
    ({**ROW, "tiers": {"over": 1}}, "tiers: must be a list"),
    ({**ROW, "tiers": [3]}, "tiers: must be a mapping"),
    ({**ROW, "tiers": [{"over": 1_500}]}, "tiers: over: must be different multiples of 1000"),
    ({**ROW, "tiers": [{"over": 1_000}]}, "tiers: input: is missing"),
    ({**ROW, "us_geo": "x"}, "us_geo: must be a number"),
    ({"web_search": "x"}, "web_search: must be a number"),
    ({"web_search": 1, "input": 2}, "input: no such key; known are web_search, from"),
    ("claude-x", "row 1: must be a mapping"),
    ({**ROW, "model": "claude\nx", "in\nput": 1}, "row 1 (claude x): in put: no such key"),
]


@pytest.mark.parametrize(("row", "complaint"), MISTAKES)
def test_a_mistake_in_a_row_is_named(row: Any, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        PriceTable.parse([row])
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        PriceTable.parse([ROW, {**ROW, "read": -1}, {"web_search": 1}, ROW])
    first, second = str(caught.value).splitlines()
    assert first.startswith("row 2 (claude-x): read: must be")
    assert second == "row 4 (claude-x): from: another row has the same name and date"


# The price page once more, to check the code against a plain reckoning with fractions.
# fmt: off
PAGE = {
    "claude-fable-5-2": ("8", "10", "16", "0.20", "40", "1.1"),
    "claude-fable-5-1": ("10", "12.50", "20", "0.25", "50", "1.1"),
    "claude-opus-5-5": ("4", "5", "8", "0.20", "20", "1.1"),
    "claude-opus-4-5": ("5", "6.25", "10", "0.50", "25", "1"),
    "claude-sonnet-5-5": ("2", "2.50", "4", "0.10", "10", "1.1"),
    "claude-haiku-5-5": ("0.10", "0.125", "0.20", "0.01", "0.50", "1.1"),
    "claude-haiku-5-5 over": ("0.50", "0.625", "1.00", "0.05", "2.50", "1.1"),
    "claude-3-haiku": ("0.25", "0.3125", "0.50", "0.025", "1.25", "1"),
    "unheard-of": ("5", "6.25", "10", "0.50", "25", "1.1"),
}
# fmt: on


def reckoned(part: Usage) -> Fraction:
    prompt = part.input_tokens + part.cache_read_tokens
    prompt += part.cache_write_5m_tokens + part.cache_write_1h_tokens
    over = " over" if part.model == "claude-haiku-5-5" and prompt > 100_000 else ""
    *rates, us = (Fraction(price) for price in PAGE[f"{part.model}{over}"])
    if part.speed == "fast" and part.model == "claude-opus-5-5":
        rates = [rate * 2 for rate in rates]
    counts = (
        part.input_tokens,
        part.cache_write_5m_tokens,
        part.cache_write_1h_tokens,
        part.cache_read_tokens,
        part.output_tokens,
    )
    tokens = sum(rate * count for rate, count in zip(rates, counts, strict=True))
    dollars = tokens / 10**6 * (us if part.geo == "us" else 1)
    dollars += Fraction(10 * part.web_search_requests, 1000)
    return dollars * 10**9 / (2 if part.batch else 1)


tokens = st.integers(0, 150_000)
any_part = st.builds(
    Usage,
    model=st.sampled_from([name for name in PAGE if " " not in name]),
    input_tokens=tokens,
    output_tokens=tokens,
    cache_write_5m_tokens=tokens,
    cache_write_1h_tokens=tokens,
    cache_read_tokens=tokens,
    web_search_requests=st.integers(0, 20),
    batch=st.booleans(),
    geo=st.sampled_from([None, "us", "global"]),
    speed=st.sampled_from([None, "fast", "standard"]),
)


@given(st.lists(any_part, max_size=5))
def test_the_cost_is_that_of_a_reckoning_with_fractions(parts: list[Usage]) -> None:
    exact = sum(map(reckoned, parts), Fraction(0))
    cost = cost_nanousd(parts, SHIPPED, NOVEMBER)
    assert cost - Fraction(1, 2) <= exact < cost + Fraction(1, 2)


@given(st.lists(any_part, max_size=5))
def test_a_row_of_the_log_has_the_sum_of_all_parts(parts: list[Usage]) -> None:
    sums = total(parts)
    assert sums.requests == len(parts)
    assert sums.prompt_tokens == sum(part.prompt_tokens for part in parts)
    assert sums.output_tokens == sum(part.output_tokens for part in parts)
    assert sums.web_search_requests == sum(part.web_search_requests for part in parts)
