"""`airoxy stats`: what was used, and what it cost."""

from __future__ import annotations

import argparse
import datetime
from argparse import Namespace
from typing import Any

from airoxy.calendar import first_of_next_month, start_ms
from airoxy.cli.command import Command, Context
from airoxy.cli.fleet.everybody import Everybody, see_everybody
from airoxy.cli.parsing.arguments import HOSTS, JSON, argument, choice, either, flag
from airoxy.cli.stats.tables import Totals, show_groups
from airoxy.core.billing.usage import USAGE
from airoxy.errors import InvalidInput
from airoxy.store.fleet.hosts import HOST
from airoxy.store.usage import requests
from airoxy.store.usage.daily import GROUPS
from airoxy.store.usage.requests import HOUR
from airoxy.store.usage.rollups.source import Chosen
from airoxy.views.cache import cache_effect
from airoxy.views.formats import dollars
from airoxy.views.times import typed_day, with_times

#: How a report may be written.
FORMATS = ("text", "html", "csv", "json")
#: `--month` without a month.
_THIS_MONTH = datetime.date.min


#: Requests whose counts are not, or not all, Anthropic's own.
_MARKS = ("estimated", "uncounted")


def _month(text: str) -> datetime.date:
    try:
        month = datetime.datetime.strptime(text, "%Y-%m").replace(tzinfo=datetime.UTC).date()
        if month.year < 1970 or not first_of_next_month(month):
            raise ValueError(text)
        return month
    except ValueError:
        raise argparse.ArgumentTypeError("a month looks like 2026-11") from None


def _run(context: Context, args: Namespace) -> None:
    today = context.today()
    if args.report:
        return _report(context, args, today)
    if args.format:
        raise InvalidInput("--format goes with --report.")
    db = context.database
    whose = context.whose(args)
    if args.by == HOUR:
        since_ms, until_ms = _milliseconds(context, args)
        wanted_rows = requests.Filter(since_ms=since_ms, until_ms=until_ms, **whose)
        groups = Everybody(context, here=args.here, host=args.host).hours(wanted_rows)
    else:
        since, until = _days(context, args)
        wanted: dict[str, Any] = {"since": since, "until": until, **whose}
        if args.by != HOST:
            see_everybody(context, here=args.here, host=args.host, since=since, until=until)
        if not args.by:
            totals = requests.totals(db, **wanted)
            if args.cache:
                totals |= cache_effect(db, context.config.pricing, **wanted)
            return context.json(totals) if args.json else _show(context, totals)
        if args.cache:
            raise InvalidInput("--cache is about all together; leave --by out.")
        if args.by == HOST:
            groups = Everybody(context, here=args.here, host=args.host).by_host(Chosen(**wanted))
        else:
            groups = requests.totals_by(db, args.by, **wanted)
    if args.json:
        return context.json([with_times(group, (HOUR,)) for group in groups])
    if not groups:
        return context.say("No requests.")
    return show_groups(context, args.by, groups)


Days = tuple[datetime.date | None, datetime.date | None]


def _days(context: Context, args: Namespace) -> Days:
    """From which day on, and before which."""
    today = context.today()
    since, until = None, _day(context, args.until, "--until")
    if args.today:
        since, end = today, today + datetime.timedelta(1)
    elif args.month:
        since = today.replace(day=1) if args.month == _THIS_MONTH else args.month
        end = first_of_next_month(since)
    else:
        return _day(context, args.since, "--since"), until
    return since, end if until is None else min(end, until)


def _day(context: Context, text: str | None, option: str) -> datetime.date | None:
    return None if text is None else typed_day(text, context.now(), option, context.zone)


def _milliseconds(context: Context, args: Namespace) -> tuple[int | None, int | None]:
    """The same for hours."""
    if args.today or args.month:
        since, until = _days(context, args)
        return _start(context, since), _start(context, until)
    return context.since_and_until(args)


def _start(context: Context, day: datetime.date | None) -> int | None:
    return None if day is None else start_ms(day, context.zone)


def _report(context: Context, args: Namespace, today: datetime.date) -> None:
    from airoxy.cli.stats.report import write_report  # rarely needed

    if args.since or args.until or args.cache:
        raise InvalidInput("--report is about a month: airoxy stats --report month --month 2026-11")
    if (
        args.today
        or args.by
        or args.token is not None
        or args.key is not None
        or args.group is not None
    ):
        raise InvalidInput("--report has all keys and tokens of a month; it goes with --month.")
    if args.json and args.format not in (None, "json"):
        raise InvalidInput("--json is --format json; give one of them.")
    args.month = args.month or _THIS_MONTH
    month, _ = _days(context, args)
    assert month
    before = (month - datetime.timedelta(1)).replace(day=1)  # which is shown beside it
    see_everybody(
        context, here=args.here, host=args.host, since=before, until=first_of_next_month(month)
    )
    write_report(context, month, today, args.format or ("json" if args.json else "text"))


def _show(context: Context, totals: Totals) -> None:
    """The totals, one in a line."""
    lines = [
        ("Requests", f"{totals['requests']:,}"),
        ("  successful", f"{totals['successful']:,}"),
        ("  failed", f"{totals['failed']:,}"),
        *((f"  {name}", f"{totals[name]:,}") for name in _MARKS if totals[name]),
        *((each.label, f"{totals[each.name]:,}") for each in USAGE),
        ("Estimated cost", dollars(totals["cost_nanousd"])),
    ]
    if "cache_saved_nanousd" in totals:
        lines += [
            ("Prompt from the cache", f"{totals['cache_read_share']:.1%}"),
            ("Saved by the cache", dollars(totals["cache_saved_nanousd"])),
        ]
    if totals["moved"]:
        lines.append(("Conversations moved", f"{totals['moved']:,}"))
        lines.append(("  which cost", dollars(totals["move_cost_nanousd"])))
    width = max(len(amount) for _, amount in lines)
    for name, amount in lines:
        context.say(f"{name:<22}  {amount:>{width}}")


_ARGUMENTS = (
    either(
        flag("--today", "only today"),
        argument(
            "--month", "YYYY-MM", "only this month, or that one", type=_month, nargs="?",
            const=_THIS_MONTH,
        ),
        argument("--since", "TIME", "only from this day on (2026-11-22, 7d ago)"),
    ),
    argument("--until", "TIME", "only before this day"),
    flag("--cache", "also what share of the prompt came from the cache, and what that saved"),
    argument("--token", "ID", "only with this token (id or name)"),
    argument("--key", "ID", "only with this client key (id or name)"),
    argument("--group", "ID", "only with the client keys of this group (id or name)"),
    argument(
        "--by",
        "WHAT",
        f"divided by {', '.join(GROUPS)}, {HOST} (of the fleet), or {HOUR} (where there are"
        " detailed rows)",
        choices=(*GROUPS, HOST, HOUR),
    ),
    choice("--report", ("month",), "the report on --month (default: this one)"),
    choice("--format", FORMATS, "how the report is written (default: text)"),
    HOSTS,
    JSON,
)  # fmt: skip
COMMANDS = (
    Command(
        "stats",
        "Show what was used and what it cost",
        _run,
        _ARGUMENTS,
        ", in all or divided: everything since the beginning, however old. The cost is an estimate"
        " by the price list. Days are those of `timezone` in the configuration. With --report,"
        " print a month's usage by group, client key, model and day, with the cost of the month"
        " before beside it and what the prompt cache saved: as text, as a self-contained HTML page"
        " (`airoxy stats --report month --format html > report.html`), as CSV or as JSON.",
    ),
)
