"""Price rows in the configuration, over the table as shipped."""

from __future__ import annotations

from datetime import date

import pytest

from airoxy.config import load_config, shipped_prices
from tests.config.conftest import Complaints, Write

ROW = "{model: claude-new-1, input: 1, write_5m: 1.25, write_1h: 2, read: 0.1, output: 5}"


def test_rows_are_laid_over_the_shipped_table(write: Write) -> None:
    config = load_config(write(f"pricing:\n- {ROW}\n"))
    assert len(config.price_rows) == 1
    day = date(2026, 11, 22)
    assert config.pricing.knows("claude-new-1", day)
    assert not shipped_prices().knows("claude-new-1", day)
    assert config.pricing.price_for("claude-opus-5", day) is not None
    assert config.pricing is config.pricing


def test_every_wrong_row_is_told_with_its_line(complaints: Complaints) -> None:
    said = complaints(f"pricing:\n- {ROW}\n- 7\n- model: claude-x\n  input: dear\n- {ROW}\n")
    assert said == [
        "F:3: pricing: a price row must be a mapping; see /usr/share/airoxy/prices.yaml",
        "F:4: pricing: price row (claude-x): input: must be a number from 0 to 100000, not 'dear';"
        " see /usr/share/airoxy/prices.yaml",
        "F:6: pricing: price row (claude-new-1): from: another row has the same name and date;"
        " see /usr/share/airoxy/prices.yaml",
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{model: a, model: b}", "model stands twice"),
        ("{model: a, from: 2026-13-45}", "pricing: "),
        ("{model: a, {}: b}", "pricing: "),
        ("{model: a, from: !!timestamp soon}", "cannot be understood"),
        ("{model: a, input: !!bool x}", "cannot be understood"),
        ("&r {model: *r}", "model: must be"),
    ],
)
def test_a_row_that_cannot_be_meant_is_told(complaints: Complaints, row: str, words: str) -> None:
    (said,) = complaints(f"pricing:\n- {row}\n")
    assert said.startswith("F:2: ")
    assert words in said
