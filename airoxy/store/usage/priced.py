"""Sums of the usage log that can be priced: of as many days at once as one price holds for."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from airoxy.calendar import numbered_day
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
    """The sums of TOTALS for these `fields`, with a day as `day` on which their price holds, but
    for the models that `apart` tells of."""
    rows = []
    with one_moment(db):
        if _of_keys(chosen, fields):
            divided, make = [(chosen, _first(chosen))], by_span
        else:
            divided, make = list(_divided(spans, chosen, fields)), by_model
        for span, day in divided:
            source = make(db, span, (*fields, *ADDED))
            rows += run(
                db,
                f"SELECT {', '.join(fields)}, {day} AS day, {SUMS} FROM {source}"
                f" GROUP BY {', '.join(fields)}",
            )
    return _named((*fields, "day", *TOTALS), rows)


def apart(spans: PriceSpans, chosen: Chosen, fields: Sequence[str]) -> tuple[str, ...]:
    """How the names of those models begin whose sums `by_price` are not of one price."""
    return spans.special if _of_keys(chosen, fields) else spans.tiered


def prompts_apart(
    db: apsw.Connection, spans: PriceSpans, chosen: Chosen, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """The prompts of those models for each of `spans`, with its first day as `day`, and in rows of
    like size: that of the mean prompt of a client key, group and model on a day."""
    prompt = " + ".join(PROMPT)
    tiers = [f"({prompt} > {size} * max(requests, 1))" for size in spans.sizes]
    sums = ", ".join(f"sum({name})" for name in PROMPTS)
    rows = []
    with one_moment(db):
        for span, day in _divided(spans, chosen, fields):
            source = by_prompt(db, span, "model >= ?1 AND model < ?2")
            for model in apart(spans, chosen, fields):
                rows += run(
                    db,
                    f"SELECT {', '.join(fields)}, {day} AS day, {sums} FROM {source}"
                    f" GROUP BY {', '.join((*fields, *tiers))}",
                    (model, model + _LAST),
                )
    return _named((*fields, "day", *PROMPTS), rows)


def _of_keys(chosen: Chosen, fields: Sequence[str]) -> bool:
    """Whether client keys are told apart: then years and months are read, which prices divide."""
    return not chosen.of_all or "api_key_id" in fields


def _divided(
    spans: PriceSpans, chosen: Chosen, fields: Sequence[str]
) -> Iterator[tuple[Chosen, str]]:
    """Spans of days, and what SQL says for the day of their prices."""
    if "day" in fields:
        yield chosen, "day"
        return
    for since, until in spans.divided(chosen.since, chosen.until):
        span = chosen._replace(since=since, until=until)
        yield span, _first(span)


def _first(span: Chosen) -> str:
    """Its first day; a plus, because a number alone would be that of a column."""
    return f"+{span.first}"


def _named(fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    found = [dict(zip(fields, row, strict=True)) for row in rows]
    for row in found:
        row["day"] = numbered_day(row["day"]).isoformat()
        row["model"] = row["model"] or None
        for name in BY_KEY[:2]:
            if name in row:
                row[name] = row[name] or None
    return found
