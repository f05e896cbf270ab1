"""What the prompt cache did: the share of the prompts that came from it, and what it saved."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apsw

from airoxy.core.billing.pricing import PriceTable, cost_nanousd
from airoxy.core.billing.usage import PROMPT, Usage
from airoxy.store.usage.priced import BY_MODEL, apart, by_price, prompts_apart
from airoxy.store.usage.rollups.source import Chosen


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
    chosen = Chosen(since, until, token_id, key_id, group_id)
    rows = by_price(db, prices.spans(since, until), chosen, BY_MODEL)
    read, prompt = (sum(row[name] for row in rows for name in names) for names in (_READ, PROMPT))
    return {
        "cache_read_share": round(read / prompt, 4) if prompt else 0.0,
        "cache_saved_nanousd": sum(saved_by(db, prices, chosen, rows, BY_MODEL)),
    }


_READ: Sequence[str] = ("cache_read_tokens",)


def saved_by(
    db: apsw.Connection,
    prices: PriceTable,
    chosen: Chosen,
    rows: Sequence[Mapping[str, Any]],
    fields: Sequence[str],
) -> Iterator[int]:
    """What the prompt cache saved of each of the rows `by_price`, whose `fields` tell them apart.
    What rows have in common is told of the first."""
    spans = prices.spans(chosen.since, chosen.until)
    special = apart(spans, chosen, fields)
    found: dict[tuple[Any, ...], int] = {}
    for part in prompts_apart(db, spans, chosen, fields):
        key = tuple(part[field] for field in fields)
        found[key] = found.get(key, 0) + saved(part, prices)
    for row in rows:
        if (row["model"] or "").startswith(special):
            yield found.pop(tuple(row[field] for field in fields), 0)
        else:
            yield saved(row, prices)


def saved(row: Mapping[str, Any], prices: PriceTable) -> int:
    """What the prompt cache saved, of sums that have one price (nano-dollars)."""
    prompt = {name: row[name] for name in PROMPT}
    # Tiers go by the size of a prompt: of the mean one, here.
    cached = Usage(row["model"], **prompt, requests=max(1, row["requests"]))
    plain = Usage(row["model"], input_tokens=sum(prompt.values()), requests=cached.requests)
    day = datetime.date.fromisoformat(row["day"])
    return cost_nanousd([plain], prices, day) - cost_nanousd([cached], prices, day)
