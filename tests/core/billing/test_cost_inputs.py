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
    basis = cost_inputs_of(parts, OPUS)
    assert basis
    assert parts_of(basis) == parts
    prices = shipped_prices()
    assert cost_nanousd(parts_of(basis), prices, TODAY) == cost_nanousd(parts, prices, TODAY)


def test_a_basis_has_a_bound() -> None:
    parts = [Usage(f"{n:0200}", 1) for n in range(400)]
    assert cost_inputs_of(parts, OPUS) == UNKNOWN
    assert len(cost_inputs_of(parts[:200], OPUS) or "") <= MOST


@pytest.mark.parametrize("basis", ["", "{", "1", "[1]", "[[1]]", '{"a": 1}'])
def test_what_is_no_basis_is_refused(basis: str) -> None:
    with pytest.raises(ValueError):
        parts_of(basis)
