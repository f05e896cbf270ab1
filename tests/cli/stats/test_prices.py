"""`airoxy prices`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from airoxy.calendar import day_number
from airoxy.core.billing.cost_inputs import UNKNOWN
from airoxy.core.billing.pricing import PriceTable
from airoxy.errors import InvalidInput
from airoxy.store.schema import run
from airoxy.store.usage import requests
from airoxy.store.usage.triggers import OTHER_MODELS
from airoxy.views.prices import unpriced_models
from tests.cli.terminal import Typed
from tests.conftest import Clock
from tests.store.seed import append, days_ago, row

OWN: dict[str, Any] = {"input": 1, "output": 2, "write_5m": 3, "write_1h": 4, "read": 0.125}


@pytest.fixture
def typed(db: apsw.Connection, clock: Clock) -> Typed:
    return Typed(Path(db.filename), clock)


def configure(typed: Typed, *rows: dict[str, Any]) -> None:
    document = json.loads(typed.config.read_text()) | {"pricing": rows}
    typed.config.write_text(json.dumps(document))


def found(table: str, *start: str) -> list[list[str]]:
    lines = [line.split() for line in table.splitlines()]
    return [line for line in lines if line[: len(start)] == list(start)]


def test_every_row_is_shown_with_its_day_and_source(typed: Typed) -> None:
    configure(
        typed, {"model": "claude-opus-5-5", **OWN}, {"model": "mine", "from": "2026-12-01", **OWN}
    )
    table = typed("prices")
    assert found(table, "opus-5-5") == [
        ["opus-5-5", "1.00", "2.00", "0.125", "3.00", "4.00", "airoxy.yaml"]
    ]
    assert found(table, "mine", "2026-12-01")[0][-1] == "airoxy.yaml"
    assert found(table, "sonnet-5-5") == [
        ["sonnet-5-5", "2026-10-07", "2.00", "10.00", "0.10", "2.50", "4.00", "1.1", "shipped"],
        ["sonnet-5-5", "2.00", "10.00", "0.20", "2.50", "4.00", "1.1", "shipped"],
    ]
    assert found(table, "over") == [["over", "100,000", "0.50", "2.50", "0.05", "0.625", "1.00"]]
    assert found(table, "fast")[0] == ["fast", "16.00", "80.00", "0.40", "20.00", "32.00"]
    assert "1,000 web searches cost $10.00." in table
    assert max(map(len, table.splitlines())) <= 80


def test_json_has_the_names_of_the_file(typed: Typed) -> None:
    configure(typed, {"model": "claude-opus-5-5", **OWN}, {"web_search": 12, "from": "2027-01-01"})
    document = typed.json("prices")
    prices = {(price["model"], price["from"]): price for price in document["prices"]}
    assert prices["claude-opus-5-5", None] == {
        "model": "claude-opus-5-5", "from": None, "source": "airoxy.yaml", **OWN, "us_geo": 1
    }  # fmt: skip
    assert prices["claude-sonnet-5-5", "2026-10-07"]["source"] == "shipped"
    assert prices["claude-haiku-5-5", None]["tiers"][0]["over"] == 100_000
    assert prices["claude-opus-5", None]["fast"] == {"input": 10, "output": 50}
    assert document["web_search"] == [
        {"from": None, "source": "shipped", "per_1000": 10},
        {"from": "2027-01-01", "source": "airoxy.yaml", "per_1000": 12},
    ]
    assert document["unpriced"] == []


def test_models_without_a_price_are_named_the_dearest_first(
    db: apsw.Connection, typed: Typed
) -> None:
    configure(typed, {"model": "late", "from": "2026-11-22", **OWN})
    append(
        db,
        row(days_ago(2), model="new\x1b[31m"),
        row(days_ago(1), model="new\x1b[31m"),
        row(days_ago(1), model="late", cost_nanousd=5_000_000),
        row(model="late"),
        row(),
        requests.without_counts(row(model="never-was", status_code=404)),
    )
    assert typed.json("prices")["unpriced"] == [
        {"model": "late", "requests": 1, "cost_nanousd": 5_000_000,
         "first_day": "2026-11-21", "last_day": "2026-11-21"},
        {"model": "new\x1b[31m", "requests": 2, "cost_nanousd": 2_000_000,
         "first_day": "2026-11-20", "last_day": "2026-11-21"},
    ]  # fmt: skip
    assert found(typed("prices"), "new?[31m") == [
        ["new?[31m", "2", "$0.0020", "2026-11-20", "2026-11-21"]
    ]


def test_sums_that_were_taken_over_are_no_guess_of_ours(db: apsw.Connection, typed: Typed) -> None:
    append(
        db, row(days_ago(3), model="claude-unknown-1"), row(days_ago(2), model="claude-known-not")
    )
    for days in (3, 4):
        number = day_number(days_ago(days))
        run(db, "INSERT INTO imports VALUES ('php', 'day', ?, '')", (json.dumps([number]),))
    table = typed("prices")
    assert "The sums from 2026-11-18 to 2026-11-19 were taken over from the PHP" in table
    assert "claude-unknown-1" not in table
    assert "claude-known-not" in table


def test_old_costs_follow_new_prices(db: apsw.Connection, typed: Typed) -> None:
    configure(typed, {"model": "claude-opus-5-5", **OWN})
    append(db, row(days_ago(9)), row(cost_nanousd=10**9), row(cost_inputs=UNKNOWN))
    words = ("prices", "--recost", "--since", "2026-11-01")
    dry = typed(*words, "--dry-run").splitlines()
    assert dry[0] == "2 of 3 requests would change: from $1.00 to $0.0206."
    assert typed(*words).splitlines() == [
        "2 of 3 requests changed: from $1.00 to $0.0206.",
        "Left as they are: 1, because what their cost was computed from was not kept then.",
        "Requests have rows of their own from 2026-11-13 on.",
    ]
    assert typed.json("stats")["cost_nanousd"] == 2 * 10_306_250 + 1_000_000
    assert typed.json(*words) == {
        "since": "2026-11-01", "dry_run": False, "rows": 3, "changed": 0,
        "before_nanousd": 0, "after_nanousd": 0, "unknown": 1,
    }  # fmt: skip
    assert typed("prices", "--recost", "--since", "2026-11-22").startswith(
        "Of 2 requests none changed."
    )


@pytest.mark.parametrize("words", [("--recost",), ("--since", "2026-11-01"), ("--dry-run",)])
def test_half_a_wish_is_wrong_usage(typed: Typed, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        typed("prices", *words)


def test_sums_are_added_up_only_of_models_that_have_not_always_had_a_price(
    db: apsw.Connection,
) -> None:
    append(db, row(model="claude-opus-5-5"), row(days_ago(40)), row(model="new"))
    table = PriceTable.parse([{"model": "claude-opus-5-5", **OWN}])
    asked: list[Any] = []

    def note(_: Any, statement: str, bindings: Any) -> bool:
        if "FROM daily" in statement:
            asked.append(json.loads(bindings[-1]))
        return True

    db.setexectrace(note)
    assert [each["model"] for each in unpriced_models(table, db)[1]] == ["new"]
    assert asked == [["new", OTHER_MODELS]]
