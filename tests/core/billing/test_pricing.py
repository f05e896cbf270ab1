"""What usage costs, to the nano-dollar.

The expected figures are worked out by hand from Anthropic's price page: a price in dollars per
million tokens, times a thousand, is nano-dollars per token.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airoxy.core.billing.pricing import cost_nanousd, most_nanousd, move_nanousd
from airoxy.core.billing.usage import Usage, total
from tests.core.billing.pricing_samples import ALL_FIVE, NOVEMBER, SHIPPED, usage

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
    # Before its first day, and with another ending than a version's, a name is unheard of.
    ("claude-fable-5-2", date(2026, 11, 8), 15_725_000),
    ("claude-opus-4-9", NOVEMBER, 15_725_000),
    ("claude-fable-5-3", NOVEMBER, 15_725_000),
    ("claude-opus-5-5-2026", NOVEMBER, 15_725_000),
    ("claude-opus-5-5-20260901-x", NOVEMBER, 15_725_000),
    ("claude-opus-5-5-fast", NOVEMBER, 15_725_000),
    ("claude-opus-5-5\n", NOVEMBER, 15_725_000),
    ("claude-mythos-preview", NOVEMBER, 15_725_000),
    ("claude-opus-4-0", NOVEMBER, 47_175_000),
    ("claude-sonnet-4-0", NOVEMBER, 9_435_000),
    ("claude-sonnet-5-5-latest[1m]", NOVEMBER, 5_290_000),
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
    # 10,580,000 x 1.1 / 2
    "there is no fast batch": (
        [usage("claude-opus-5-5", *ALL_FIVE, speed="fast", geo="us", batch=True)],
        5_819_000,
    ),
    # 1,000 x 16,000 + 100 x 20,000 + 10 x 32,000 + 10,000 x 400 + 200 x 80,000
    "fast Fable 5.2": ([usage("claude-fable-5-2", *ALL_FIVE, speed="fast")], 38_320_000),
    "fast Mythos 5.2": ([usage("claude-mythos-5-2", *ALL_FIVE, speed="fast")], 38_320_000),
    "Fable 5.1 has no fast price": (
        [usage("claude-fable-5-1", *ALL_FIVE, speed="fast")],
        23_950_000,
    ),
    "what is not billed costs nothing": (
        [usage("claude-opus-5", 7, billed=False), usage("claude-opus-5", 1)],
        5_000,
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
    # 3 x 10,000,000 + 1,000 x 4,000 / 2
    "web searches of a batch cost as much as others": (
        [usage("claude-opus-5-5", 1_000, web_search_requests=3, batch=True)],
        32_000_000,
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


def test_the_fast_opus_4_8_ends_with_november() -> None:
    part = usage("claude-opus-4-8", *ALL_FIVE, speed="fast")
    assert cost_nanousd([part], SHIPPED, date(2026, 11, 30)) == 31_450_000
    assert cost_nanousd([part], SHIPPED, date(2026, 12, 1)) == 15_725_000


@pytest.mark.parametrize("case", PARTS)
def test_parts_cost(case: str) -> None:
    parts, nanousd = PARTS[case]
    assert cost_nanousd(parts, SHIPPED, NOVEMBER) == nanousd


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


#: The models of PAGE that cost twice as much at speed "fast".
FAST = ("claude-opus-5-5", "claude-fable-5-2")


def reckoned(part: Usage) -> Fraction:
    prompt = part.input_tokens + part.cache_read_tokens
    prompt += part.cache_write_5m_tokens + part.cache_write_1h_tokens
    over = " over" if part.model == "claude-haiku-5-5" and prompt > 100_000 else ""
    *rates, us = (Fraction(price) for price in PAGE[f"{part.model}{over}"])
    if part.speed == "fast" and part.model in FAST and not part.batch:
        rates = [rate * 2 for rate in rates]
    counts = (
        part.input_tokens,
        part.cache_write_5m_tokens,
        part.cache_write_1h_tokens,
        part.cache_read_tokens,
        part.output_tokens,
    )
    tokens = sum(rate * count for rate, count in zip(rates, counts, strict=True))
    dollars = tokens / 10**6 * (us if part.geo == "us" else 1) / (2 if part.batch else 1)
    dollars += Fraction(10 * part.web_search_requests, 1000)
    return dollars * 10**9


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


@settings(deadline=None)
@given(st.lists(any_part, max_size=5))
def test_the_cost_is_that_of_a_reckoning_with_fractions(parts: list[Usage]) -> None:
    exact = sum(map(reckoned, parts), Fraction(0))
    cost = cost_nanousd(parts, SHIPPED, NOVEMBER)
    assert cost - Fraction(1, 2) <= exact < cost + Fraction(1, 2)


@settings(deadline=None)
@given(st.lists(any_part, max_size=5))
def test_a_row_of_the_log_has_the_sum_of_all_parts(parts: list[Usage]) -> None:
    sums = total(parts)
    assert sums.requests == len(parts)
    assert sums.prompt_tokens == sum(part.prompt_tokens for part in parts)
    assert sums.output_tokens == sum(part.output_tokens for part in parts)
    assert sums.web_search_requests == sum(part.web_search_requests for part in parts)


@settings(deadline=None)
@given(
    st.sampled_from([None, "claude-opus-5-5", "claude-haiku-5-5", "claude-haiku-4-5", "new"]),
    st.integers(0, 300_000),
    st.integers(0, 100_000),
    st.data(),
)
def test_no_request_costs_more_than_is_held_for_it(model, prompt, output, data):
    table = SHIPPED
    fast = data.draw(st.booleans())
    rest, counts = prompt, []
    for _ in range(3):
        counts.append(data.draw(st.integers(0, rest)))
        rest -= counts[-1]
    geo = data.draw(st.sampled_from([None, "us"]))
    speed = "fast" if fast else None
    used = Usage(model, rest, output, *counts, geo=geo, speed=speed)
    most = most_nanousd(table, model, NOVEMBER, (prompt, output), fast=fast)
    assert cost_nanousd([used], table, NOVEMBER) <= most
    less = most_nanousd(table, model, NOVEMBER, (prompt // 2, output // 2), fast=fast)
    assert less <= most


def test_a_move_costs_what_was_written_for_what_could_have_been_read():
    # opus-5-5: 5,000 and 8,000 a token written, 200 read; input, output and reads are as they are.
    used = usage("claude-opus-5-5", 7, 100, 10, 1000, 5)
    assert move_nanousd([used], SHIPPED, NOVEMBER) == 100 * 4_800 + 10 * 7_800
    assert move_nanousd([Usage("claude-opus-5-5", input_tokens=9)], SHIPPED, NOVEMBER) == 0
    assert move_nanousd([], SHIPPED, NOVEMBER) == 0
