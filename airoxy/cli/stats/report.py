"""`airoxy stats --report month`: a month's usage report, to be handed on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from airoxy.calendar import first_of_next_month
from airoxy.cli.command import Context
from airoxy.cli.stats.tables import HEADS, cells, show_groups
from airoxy.core.report import Report, build
from airoxy.store.usage.daily import TOTALS, by_day_key_and_model
from airoxy.views.report import document, key_name, model_name, write_csv
from airoxy.views.times import zoned_moment


def write_report(context: Context, month: date, today: date, form: str) -> None:
    """The report on `month` (its first day) as text, html, csv or json."""
    prices = context.config.pricing
    rows = by_day_key_and_model(context.database, month, first_of_next_month(month))
    report = build(rows, month, today, TOTALS, prices.knows)
    if form == "html":
        from airoxy.views.report_html import page

        return context.say(page(report, context.now(), context.zone))
    if form == "csv":
        return write_csv(report, context.out)
    if form == "json":
        return context.json(document(report, context.now()))
    return _write_text(context, report)


def _write_text(context: Context, report: Report) -> None:
    so_far = "" if report.complete else f", as of {zoned_moment(context.now(), context.zone)}"
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
