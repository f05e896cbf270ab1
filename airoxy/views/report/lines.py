"""A month's usage report: read from the sums, as CSV and JSON, and the names of its lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date, timedelta
from typing import Any, TextIO

import apsw

from airoxy.calendar import first_of_next_month
from airoxy.core.billing.pricing import PriceTable
from airoxy.core.report import BEFORE, Report, Sums, build
from airoxy.store.names import all_names
from airoxy.store.usage.daily import TOTALS, by_key_and_model
from airoxy.store.usage.past import Past
from airoxy.store.usage.priced import BY_DAY, BY_KEY, by_price
from airoxy.store.usage.rollups.source import Chosen, one_moment
from airoxy.views.cache import saved_by
from airoxy.views.formats import cut
from airoxy.views.times import rfc3339

#: What the prompt cache saved (nano-dollars).
SAVED = "cache_saved_nanousd"
#: Amounts of money, and what they are called in dollars.
_MONEY = {
    "cost_nanousd": "cost_usd",
    SAVED: "cache_saved_usd",
    BEFORE: "cost_month_before_usd",
}
_COLUMNS = (
    "month",
    "group_id",
    "group_name",
    "api_key_id",
    "api_key_name",
    "model",
    *(name for name in TOTALS if name != "cost_nanousd"),
    *_MONEY.values(),
)


def read_report(
    db: apsw.Connection,
    prices: PriceTable,
    month: date,
    today: date,
    past: Past | None = None,
) -> Report:
    """The report on `month` (its first day), with the month before beside it. What `past` keeps of
    days that are over is not read again."""
    end, before = first_of_next_month(month), (month - timedelta(1)).replace(day=1)
    over = min(max(month, today), end)

    def keep(what: str, until: date, read: Callable[[], Any]) -> Any:
        # Of other months there are many, and large ones.
        is_new = past is not None and month <= today < first_of_next_month(until)
        return past.of(f"{what} {month}", today, read) if past and is_new else read()

    found = keep("all lines of", over, lambda: _sums(db, prices, month, over))
    if over < end:
        rest = _sums(db, prices, over, end)
        found = [*found[0], *rest[0]], [*found[1], *rest[1]]
    known = keep("month before", month, lambda: by_key_and_model(db, before, month))
    names = all_names(db, "api_keys"), all_names(db, "groups")
    lines, known = (
        [
            row
            | {
                "group_id": row["group_id"] or None,
                "api_key_name": names[0].get(row["api_key_id"]),
                "group_name": names[1].get(row["group_id"]),
            }
            for row in rows
        ]
        for rows in (found[0], known)
    )
    return build(lines, found[1], month, today, (*TOTALS, SAVED), prices.knows, known)


def _sums(
    db: apsw.Connection, prices: PriceTable, since: date, until: date
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """By client key, group and model; and by day and model."""
    chosen = Chosen(since, until)
    found = []
    with one_moment(db):
        for fields in (BY_KEY, BY_DAY):
            rows = by_price(db, prices.spans(since, until), chosen, fields)
            amounts = saved_by(db, prices, chosen, rows, fields)
            found.append([row | {SAVED: saved} for row, saved in zip(rows, amounts, strict=True)])
    return found[0], found[1]


def write_csv(report: Report, out: TextIO) -> None:
    """A line for each key and model, and none that has to be left out when they are summed."""
    lines = csv.writer(out)
    lines.writerow(_COLUMNS)
    for key in report.keys:
        for model in key["models"]:
            known = {**key, **model, "month": f"{report.month:%Y-%m}"}
            known |= {money: _exact(model[name]) for name, money in _MONEY.items()}
            lines.writerow([_cell(known[name]) for name in _COLUMNS])


def document(report: Report, now: float) -> dict[str, Any]:
    """The report as JSON has it; `now` is when it was made."""
    # Not asdict(), which copies every line and takes as long as all the rest.
    members = {field.name: getattr(report, field.name) for field in fields(report)}
    return members | {"month": f"{report.month:%Y-%m}", "generated_at": rfc3339(now)}


def _exact(nanousd: int) -> str:
    sign, amount = "-" * (nanousd < 0), abs(nanousd)
    return f"{sign}{amount // 10**9}.{amount % 10**9:09}"


def _cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula: model names come from clients."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def lines_of(report: Report) -> Iterator[tuple[str, str, Sums]]:
    """What each line is of (group, key or model), its name and its sums; those of groups only
    where there are some."""
    for group in report.groups:
        if report.has_groups:
            yield "group", group_name(group), group
        for key in report.keys_of(group["group_id"]):
            yield "key", key_name(key), key
            for model in key["models"]:
                yield "model", model_name(model), model


def group_name(group: dict[str, Any]) -> str:
    """The group's name, or that there was none."""
    return cut(group["group_name"] or "no group", 64)


def key_name(key: dict[str, Any]) -> str:
    """The key's name, its id where it has none (any more), a dash where nobody knows the key."""
    number = key["api_key_id"]
    return cut(key["api_key_name"] or ("-" if number is None else f"key {number}"), 64)


def model_name(model: dict[str, Any]) -> str:
    """Marked where the cost is a guess."""
    return cut(model["model"] or "no model", 64) + ("" if model["priced"] else " *")
