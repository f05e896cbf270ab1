"""Sums of the usage log that can be priced: of as many days at once as one price holds for."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import apsw

from airoxy.calendar import day_number, numbered_day
from airoxy.core.billing.pricing import PriceSpans
from airoxy.core.billing.usage import PROMPT
from airoxy.store.schema import run
from airoxy.store.usage.daily import SUMS, TOTALS, where_used

_KEY = ("api_key_id", "group_id")
_PROMPTS = ("requests", *PROMPT)


def by_price(
    db: apsw.Connection,
    spans: PriceSpans,
    since: datetime.date | None,
    until: datetime.date | None,
    *,
    by_day: bool = False,
    by_key: bool = False,
    **whose: int | None,
) -> list[dict[str, Any]]:
    """The sums of TOTALS for each model and each of `spans`, or each day, as `day` the first one;
    and for each client key and group."""
    where, values = where_used(since, until, **whose)
    fields = (*(_KEY if by_key else ()), "day", "model")
    first = "day" if by_day else _first_day(spans, since)
    columns = ", ".join(first if field == "day" else field for field in fields)
    numbers = ", ".join(str(n + 1) for n in range(len(fields)))
    sql = f"SELECT {columns}, {SUMS} FROM daily WHERE {where} GROUP BY {numbers}"
    return _named((*fields, *TOTALS), run(db, sql, values))


def prompts_of_tiered(
    db: apsw.Connection,
    spans: PriceSpans,
    since: datetime.date | None,
    until: datetime.date | None,
    **whose: int | None,
) -> list[dict[str, Any]]:
    """The prompts of those models whose price goes by their size, for each day, client key, group
    and model."""
    if not spans.tiered:
        return []
    where, values = where_used(since, until, **whose)
    tiered = " OR ".join(f"substr(model, 1, {len(name)}) = ?" for name in spans.tiered)
    fields = ("day", *_KEY, "model")
    sums = ", ".join(f"sum({name})" for name in _PROMPTS)
    sql = (
        f"SELECT {', '.join(fields)}, {sums} FROM daily WHERE {where} AND ({tiered})"
        f" GROUP BY {', '.join(fields)}"
    )
    return _named((*fields, *_PROMPTS), run(db, sql, (*values, *spans.tiered)))


def _first_day(spans: PriceSpans, since: datetime.date | None) -> str:
    """The first day of the span that a day is in, as SQL."""
    first = day_number(since) if since else 0
    starts = [day_number(day) for day in reversed(spans.starts)]
    cases = "".join(f" WHEN day >= {start} THEN {start}" for start in starts)
    # A plus, because a number alone would be that of a column.
    return f"CASE{cases} ELSE {first} END" if cases else f"+{first}"


def _named(fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    found = [dict(zip(fields, row, strict=True)) for row in rows]
    for row in found:
        row["day"] = numbered_day(row["day"]).isoformat()
        row["model"] = row["model"] or None
        for name in _KEY:
            if name in row:
                row[name] = row[name] or None
    return found
