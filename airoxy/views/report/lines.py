"""A month's usage report: read from the sums, as CSV and JSON, and the names of its lines."""

from __future__ import annotations

import csv
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, TextIO

import apsw

from airoxy.calendar import first_of_next_month
from airoxy.core.billing.pricing import PriceTable
from airoxy.core.report import BEFORE, Report, build
from airoxy.store.usage.daily import TOTALS, by_day_key_and_model
from airoxy.views.cache import saved
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


def read_report(db: apsw.Connection, prices: PriceTable, month: date, today: date) -> Report:
    """The report on `month` (its first day), with the month before beside it."""
    end, before = first_of_next_month(month), (month - timedelta(1)).replace(day=1)
    rows = by_day_key_and_model(db, month, end)
    for row in rows:
        row[SAVED] = saved(row, prices)
    known = by_day_key_and_model(db, before, month)
    return build(rows, month, today, (*TOTALS, SAVED), prices.knows, known)


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
    return asdict(report) | {"month": f"{report.month:%Y-%m}", "generated_at": rfc3339(now)}


def _exact(nanousd: int) -> str:
    sign, amount = "-" * (nanousd < 0), abs(nanousd)
    return f"{sign}{amount // 10**9}.{amount % 10**9:09}"


def _cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula: model names come from clients."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


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
