"""What the prompt cache did: the share of the prompts that came from it, and what it saved."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import apsw

from airoxy.core.billing.pricing import PriceTable, cost_nanousd
from airoxy.core.billing.usage import PROMPT, Usage
from airoxy.store.usage.daily import by_day_key_and_model


def cache_effect(
    db: apsw.Connection,
    prices: PriceTable,
    *,
    since: datetime.date | None,
    until: datetime.date | None,
    token_id: int | None,
    key_id: int | None,
    group_id: int | None,
) -> dict[str, Any]:
    """The fields that `stats --cache` adds. Saved is what the same prompts would have cost as plain
    input, at standard service, less what they did cost; it is negative where writes were not read.
    """
    rows = by_day_key_and_model(
        db, since, until, token_id=token_id, key_id=key_id, group_id=group_id
    )
    read, prompt = (sum(row[name] for row in rows for name in names) for names in (_READ, PROMPT))
    return {
        "cache_read_share": round(read / prompt, 4) if prompt else 0.0,
        "cache_saved_nanousd": sum(saved(row, prices) for row in rows),
    }


_READ: Sequence[str] = ("cache_read_tokens",)


def saved(row: dict[str, Any], prices: PriceTable) -> int:
    """What the prompt cache saved, of the sums of one day and model (nano-dollars)."""
    prompt = {name: row[name] for name in PROMPT}
    # Tiers go by the size of a prompt: of the mean one, here.
    cached = Usage(row["model"], **prompt, requests=max(1, row["requests"]))
    plain = Usage(row["model"], input_tokens=sum(prompt.values()), requests=cached.requests)
    day = datetime.date.fromisoformat(row["day"])
    return cost_nanousd([plain], prices, day) - cost_nanousd([cached], prices, day)
