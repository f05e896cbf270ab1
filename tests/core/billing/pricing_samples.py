"""The prices as shipped, and what the tests of costs are reckoned with."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from airoxy.core.billing.pricing import PriceTable
from airoxy.core.billing.usage import Usage

PRICES = Path(__file__).parents[3] / "etc" / "prices.yaml"
SHIPPED = PriceTable.parse(yaml.safe_load(PRICES.read_text(encoding="utf-8")))
NOVEMBER = date(2026, 11, 10)
#: 1,000 input, 100 written for 5 minutes, 10 for an hour, 10,000 read, 200 output.
ALL_FIVE = (1_000, 100, 10, 10_000, 200)


def usage(model: str | None, *counts: int, **more: Any) -> Usage:
    """`counts` as the price page has its columns: input, write 5m, write 1h, read, output."""
    names = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
    named = {f"{name}_tokens": count for name, count in zip(names, counts, strict=False)}
    return Usage(model=model, **named, **more)
