"""`airoxy stats --report month`: a month's usage report, to be handed on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

from airoxy.calendar import first_of_next_month
from airoxy.cli.command import Context
from airoxy.cli.show import moment
from airoxy.cli.stats.tables import HEADS, cells, key_name, model_name, show_groups
from airoxy.core.report import Report, build
from airoxy.store.usage.daily import TOTALS, by_day_key_and_model

_COLUMNS = (
    "month",
    "api_key_id",
    "api_key_name",
    "model",
    *(name for name in TOTALS if name != "cost_nanousd"),
    "cost_usd",
)


def write_report(context: Context, month: date, today: date, form: str) -> None:
    """The report on `month` (its first day) as text, html, csv or json."""
    prices = context.config.pricing
    rows = by_day_key_and_model(context.database, month, first_of_next_month(month))
    report = build(rows, month, today, TOTALS, prices.knows)
    if form == "html":
        from airoxy.cli.stats.report_html import page

        return context.say(page(report, context.now()))
    if form == "csv":
        return _write_csv(context, report)
    if form == "json":
        return context.json(_document(context, report))
    return _write_text(context, report)


def _write_text(context: Context, report: Report) -> None:
    so_far = "" if report.complete else f", as of {moment(context.now())} UTC"
    context.say(f"Usage and estimated cost in {report.month:%B %Y}{so_far}\n")
    if not report.keys:
        return context.say("No requests.")
    context.table(_text_lines(report), ("KEY, MODEL", *HEADS), right=HEADS)
    context.say()
    show_groups(context, "day", report.days)
    if report.remarks:
        context.say("\n" + "\n".join(report.remarks))
    return None


def _text_lines(report: Report) -> Iterator[tuple[str, ...]]:
    for key in report.keys:
        yield key_name(key), *cells(key)
        for model in key["models"]:
            yield f"  {model_name(model)}", *cells(model)
    yield "total", *cells(report.totals)
    for model in report.models:
        yield f"  {model_name(model)}", *cells(model)


def _write_csv(context: Context, report: Report) -> None:
    """A line for each key and model, and none that has to be left out when they are summed."""
    lines = csv.writer(context.out)
    lines.writerow(_COLUMNS)
    for key in report.keys:
        for model in key["models"]:
            known = {**key, **model, "month": f"{report.month:%Y-%m}"}
            known["cost_usd"] = _exact(model["cost_nanousd"])
            lines.writerow([_cell(known[name]) for name in _COLUMNS])


def _exact(nanousd: int) -> str:
    return f"{nanousd // 10**9}.{nanousd % 10**9:09}"


def _cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula: model names come from clients."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _document(context: Context, report: Report) -> dict[str, Any]:
    document = asdict(report)
    return document | {"month": f"{report.month:%Y-%m}", "generated_at": context.now()}
