"""The table of prices: which row counts, how rows are laid over others, and their mistakes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from airoxy.core.billing.pricing import PriceTable, cost_nanousd
from tests.core.billing.pricing_samples import ALL_FIVE, NOVEMBER, SHIPPED, usage


def test_only_models_with_a_row_are_known() -> None:
    assert SHIPPED.knows("claude-opus-5-5-20261001", NOVEMBER)
    assert not SHIPPED.knows("claude-nova-1", NOVEMBER)
    assert not SHIPPED.knows("", NOVEMBER)
    assert not SHIPPED.knows(None, NOVEMBER)


def test_the_longest_name_and_the_newest_row_in_force_count() -> None:
    price = SHIPPED.price_for("claude-sonnet-5-5-latest", date(2026, 12, 24))
    assert price is not None
    assert (price.model, price.since) == ("claude-sonnet-5-5", date(2026, 10, 7))
    assert price.rates["read"] == Fraction(1, 10)


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
    assert price.rates["input"] == Fraction(1, 10)


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
