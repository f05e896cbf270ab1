"""Sums of the usage log that can be priced: of as many days at once as one price holds for."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from airoxy.calendar import day_number, numbered_day
from airoxy.core.billing.pricing import PriceSpans
from airoxy.core.billing.usage import PROMPT
from airoxy.store.schema import run
from airoxy.store.usage.daily import ADDED, SUMS, TOTALS
from airoxy.store.usage.rollups.source import Chosen, by_model, by_prompt, by_span, one_moment
from airoxy.store.usage.rollups.tables import PROMPTS

#: What sums are told apart by: lines of a report, its days, and nothing else.
BY_KEY, BY_DAY, BY_MODEL = ("api_key_id", "group_id", "model"), ("day", "model"), ("model",)
#: After every character.
_LAST = "\U0010ffff"


def by_price(
    db: apsw.Connection, spans: PriceSpans, chosen: Chosen, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """The sums of TOTALS for these `fields`, for each of `spans`, with its first day as `day`."""
    make = by_model if chosen.of_all and "api_key_id" not in fields else by_span
    rows = []
    with one_moment(db):
        for span, day in _divided(spans, chosen, fields):
            source = make(db, span, (*fields, *ADDED))
            rows += run(
                db,
                f"SELECT {', '.join(fields)}, {day} AS day, {SUMS} FROM {source}"
                f" GROUP BY {', '.join(fields)}",
            )
    return _named((*fields, "day", *TOTALS), rows)


def prompts_of_tiered(
    db: apsw.Connection, spans: PriceSpans, chosen: Chosen, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """The prompts of those models whose price goes by their size, in the same way, and in rows of
    like size: that of the mean prompt of a client key, group and model on a day."""
    prompt = " + ".join(PROMPT)
    tier = " + ".join(f"({prompt} > {size} * max(requests, 1))" for size in spans.sizes)
    listed, sums = ", ".join(fields), ", ".join(f"sum({name})" for name in PROMPTS)
    rows = []
    with one_moment(db):
        for span, day in _divided(spans, chosen, fields):
            source = by_prompt(db, span, "model >= ?1 AND model < ?2")
            for model in spans.tiered:
                rows += run(
                    db,
                    f"SELECT {listed}, {day} AS day, {sums} FROM {source}"
                    f" GROUP BY {listed}, {tier}",
                    (model, model + _LAST),
                )
    return _named((*fields, "day", *PROMPTS), rows)


def _divided(
    spans: PriceSpans, chosen: Chosen, fields: Sequence[str]
) -> Iterator[tuple[Chosen, str]]:
    """Spans of days, and what SQL says for the day of their prices."""
    if "day" in fields:
        yield chosen, "day"
        return
    for since, until in spans.divided(chosen.since, chosen.until):
        # A plus, because a number alone would be that of a column.
        yield chosen._replace(since=since, until=until), f"+{day_number(since) if since else 0}"


def _named(fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    found = [dict(zip(fields, row, strict=True)) for row in rows]
    for row in found:
        row["day"] = numbered_day(row["day"]).isoformat()
        row["model"] = row["model"] or None
        for name in BY_KEY[:2]:
            if name in row:
                row[name] = row[name] or None
    return found
