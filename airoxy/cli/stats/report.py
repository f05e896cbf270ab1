"""`airoxy stats --report month`: a month's usage report, to be handed on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from airoxy.cli.command import Context
from airoxy.cli.stats.tables import HEADS, cells, show_groups
from airoxy.core.report import BEFORE, Report, Sums
from airoxy.views.formats import dollars
from airoxy.views.report.lines import (
    SAVED,
    document,
    lines_of,
    model_name,
    read_report,
    write_csv,
)
from airoxy.views.times import zoned_moment

#: What a narrow terminal does without, the first of them first.
_LEFT_OUT = ("WRITE", "READ", "FAILED", "OUT", "IN")
#: The least room for the names of groups, keys and models.
_NARROWEST = 24


def write_report(context: Context, month: date, today: date, form: str) -> None:
    """The report on `month` (its first day) as text, html, csv or json."""
    report = read_report(context.database, context.config.pricing, month, today)
    if form == "html":
        from airoxy.views.report.page import page

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
    before = f"{report.month_before:%B}".upper()
    head = "GROUP, KEY, MODEL" if report.has_groups else "KEY, MODEL"
    context.table(
        _text_lines(report), (head, *HEADS, before), right=(*HEADS, before),
        leave_out=_LEFT_OUT, cuttable={head: _NARROWEST},
    )  # fmt: skip
    if saved := report.totals[SAVED]:
        context.say(f"\nThe prompt cache saved {dollars(saved)}.")
    context.say()
    show_groups(context, "day", report.days)
    if report.remarks:
        context.say("\n" + "\n".join(report.remarks))
    return None


def _text_lines(report: Report) -> Iterator[tuple[str, ...]]:
    indents = {"group": "", "key": "", "model": "  "}
    if report.has_groups:
        indents |= {"key": "  ", "model": "    "}
    for what, name, sums in lines_of(report):
        yield _line(indents[what] + name, sums)
    yield _line("total", report.totals)
    for model in report.models:
        yield _line(f"  {model_name(model)}", model)


def _line(name: str, sums: Sums) -> tuple[str, ...]:
    return name, *cells(sums), dollars(sums[BEFORE])
