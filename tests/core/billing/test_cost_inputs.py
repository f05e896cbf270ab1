"""What a cost was computed from, kept and read again."""

from __future__ import annotations

from datetime import date

import pytest

from airoxy.config import shipped_prices
from airoxy.core.billing.cost_inputs import MOST, UNKNOWN, cost_inputs_of, parts_of
from airoxy.core.billing.pricing import cost_nanousd
from airoxy.core.billing.usage import Usage

TODAY = date(2026, 11, 22)
OPUS = "claude-opus-5-5"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [Usage(OPUS, 1, 2, 3, 4, 5, 6)],
        [Usage(OPUS, 1, geo="global", speed="standard")],
    ],
)
def test_a_plain_request_needs_none(parts: list[Usage]) -> None:
    assert cost_inputs_of(parts, OPUS) is None


@pytest.mark.parametrize(
    "parts",
    [
        [Usage(OPUS, 10, 20, 30, 40, 50, 1, batch=True, requests=3)],
        [Usage(OPUS, 10, 20, geo="us")],
        [Usage(OPUS, 10, 20, speed="fast")],
        [Usage("claude-haiku-5-5", 10, 20)],
        [Usage(None, 10, 20)],
        [Usage(OPUS, 10, 20), Usage('claude-"ü', 1, 2, 3, 4, 5, 6)],
    ],
)
def test_another_one_costs_the_same_when_it_is_read_again(parts: list[Usage]) -> None:
    kept = cost_inputs_of(parts, OPUS)
    assert kept
    assert parts_of(kept) == parts
    prices = shipped_prices()
    assert cost_nanousd(parts_of(kept), prices, TODAY) == cost_nanousd(parts, prices, TODAY)


@pytest.mark.parametrize(
    ("kept", "parts"),
    [
        (
            '[["claude-opus-5-5",10,20,30,40,50,1,true,null,null,3]]',
            [Usage(OPUS, 10, 20, 30, 40, 50, 1, batch=True, requests=3)],
        ),
        (
            '[["a",1,2,0,0,0,0,false,"us","fast",1],[null,3,4,0,0,0,0,false,null,null,1]]',
            [Usage("a", 1, 2, geo="us", speed="fast"), Usage(None, 3, 4)],
        ),
    ],
)
def test_what_1_0_kept_can_be_read(kept: str, parts: list[Usage]) -> None:
    assert parts_of(kept) == parts


def test_what_was_kept_before_a_field_was_added_can_be_read() -> None:
    kept = '{"fields":["input_tokens","geo"],"parts":[[7,"us"]]}'
    assert parts_of(kept) == [Usage(None, 7, geo="us")]


def test_cost_inputs_have_a_bound() -> None:
    parts = [Usage(f"{n:0200}", 1) for n in range(400)]
    assert cost_inputs_of(parts, OPUS) == UNKNOWN
    assert len(cost_inputs_of(parts[:200], OPUS) or "") <= MOST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "1",
        "[1]",
        "[[1]]",
        '{"a": 1}',
        '{"fields":["x"],"parts":[[1]]}',
        '{"fields":[],"parts":[[1]]}',
    ],
)
def test_what_are_no_cost_inputs_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parts_of(text)
