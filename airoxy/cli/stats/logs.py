"""`airoxy logs`: the newest requests, and those that come."""

from __future__ import annotations

import argparse
import datetime
import json
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from airoxy.calendar import start_ms
from airoxy.cli.command import Command, Context, add_json
from airoxy.cli.parsing.arguments import count_argument
from airoxy.core.billing.usage import HEADINGS
from airoxy.store import schema
from airoxy.store.usage import costs, requests
from airoxy.views.formats import cut, dollars, duration, padded, short, short_model
from airoxy.views.times import local_time, typed_moment

#: How often a follower looks whether something was written (seconds).
LOOK = 0.2
#: Requests that a follower takes at once.
_AT_ONCE = 1000

_ENDINGS = {
    "complete": "",
    "client_left": " left",
    "upstream_failed": " fail",
    "worker_killed": " kill",
}


def _summed(names: tuple[str, ...], row: Mapping[str, Any]) -> str:
    return short(sum(row[name] for name in names))


def _cost(row: Mapping[str, Any]) -> str:
    """Marked where it is an estimate, or not known at all."""
    if row["uncounted"]:
        return "?"
    return f"{'~' if row['is_estimate'] else ''}{dollars(row['cost_nanousd'])}"


# Head, width (negative: a number), and what is in it. Of a fixed width, since who follows cannot
# know what will come; 120 columns in all.
Column = tuple[str, int, Callable[[Mapping[str, Any]], str]]
_COLUMNS: tuple[Column, ...] = (
    ("KEY", 10, lambda r: r["api_key_name"] or str(r["api_key_id"])),
    ("TOKEN", 10, lambda r: r["token_name"] or "-"),
    ("ENDPOINT", 12, lambda r: _endpoint(r["endpoint"])),
    ("MODEL", 12, lambda r: short_model(r["model"])),
    *((heading, -5, partial(_summed, names)) for heading, names in HEADINGS.items()),
    ("COST", -7, _cost),
    ("STATUS", 8, lambda r: f"{r['status_code']}{_ENDINGS[r['ending']]}"),
    ("TOOK", -5, lambda r: duration(r["duration_ms"])),
)
#: What `--wide` adds.
_MORE: tuple[Column, ...] = (
    ("TRIES", -5, lambda r: str(r["attempts"])),
    ("FIRST", -5, lambda r: "-" if r["ttfb_ms"] is None else duration(r["ttfb_ms"])),
    ("ENDING", 15, lambda r: r["ending"]),
    ("REQUEST ID", 28, lambda r: r["request_id"] or "-"),
    ("CLIENT", 15, lambda r: r["client_address"] or "-"),
    ("GROUP", 12, lambda r: r["group_name"] or "-"),
)
_ERROR_INDENT, _ERROR_WIDTH = 16, 100

_DESCRIPTION = (
    "Show the newest requests. WRITE and READ are tokens written to and read from the prompt "
    "cache. A cost with ~ is an estimate, because the answer broke off before its counts; ? is "
    "the cost of what cannot be counted. A status with 'left' is of a client that went away, with "
    "'fail' of an answer that broke off or was none, with 'kill' of one that ran when its worker "
    "process was killed. With --wide, TRIES is how many tokens were tried, FIRST the time to the "
    "first byte of the answer, REQUEST ID Anthropic's, and CLIENT where the client sits. Times "
    "are those of `timezone` in the configuration."
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--limit",
        type=count_argument,
        default=50,
        metavar="N",
        help="how many (default: %(default)s)",
    )
    day = parser.add_mutually_exclusive_group()
    day.add_argument("--today", action="store_true", help="only today's")
    day.add_argument("--date", type=_date, metavar="DATE", help="only this day's (2026-11-22)")
    day.add_argument(
        "--since", metavar="TIME", help="only from then on (2h ago, 2026-11-22T17:30, 17:30)"
    )
    parser.add_argument("--until", metavar="TIME", help="only those before then")
    parser.add_argument("--failed", action="store_true", help="only those that failed")
    parser.add_argument(
        "--status", type=_statuses, metavar="CODE", help="only with this status (429, 5xx)"
    )
    parser.add_argument(
        "--model", metavar="GLOB", help="only with this model (claude-opus-*, quoted)"
    )
    parser.add_argument(
        "--request", metavar="ID", help="only the request with this id (req_…, from an answer)"
    )
    parser.add_argument("--token", metavar="ID", help="only those with this token (id or name)")
    parser.add_argument("--key", metavar="ID", help="only those with this client key (id or name)")
    parser.add_argument(
        "--group", metavar="ID", help="only those with a client key of this group (id or name)"
    )
    parser.add_argument(
        "--wide", action="store_true", help="also attempts, first byte, ending and request id"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with those that come, until Ctrl-C"
    )
    add_json(parser)


def _statuses(text: str) -> tuple[int, int]:
    """A status, or all of a kind; the first, and the one that follows the last."""
    found = re.fullmatch(r"([1-5])(?:xx|([0-9]{2}))", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError("a status looks like 429 or 5xx")
    first = int(found[1]) * 100 + int(found[2] or 0)
    return first, first + (1 if found[2] else 100)


def _date(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError("a day looks like 2026-11-22") from None


def _run(context: Context, args: Namespace) -> None:
    db = context.database
    wanted = _filter(context, args)
    if args.follow:
        return _follow(context, args, wanted)
    rows = requests.newest(db, limit=args.limit, wanted=wanted)
    if args.json:
        return context.json(rows)
    if not rows:
        context.say("No requests yet." if wanted == requests.Filter() else "No such requests.")
        return _tell_retention(context, wanted)
    columns = _columns(context, args)
    _head(context, columns)
    return _show(context, columns, rows)


def _filter(context: Context, args: Namespace) -> requests.Filter:
    now = context.now()
    day = context.today() if args.today else args.date
    since, until = (
        None if text is None else round(typed_moment(text, now, option, context.zone) * 1000)
        for text, option in ((args.since, "--since"), (args.until, "--until"))
    )
    if day is not None:
        since = start_ms(day, context.zone)
        end = start_ms(day + datetime.timedelta(1), context.zone)
        until = end if until is None else min(until, end)
    return requests.Filter(
        token_id=None if args.token is None else context.token_id(args.token, removed=True),
        key_id=None if args.key is None else context.key_id(args.key, removed=True),
        group_id=context.group_filter(args.group),
        since_ms=since,
        until_ms=until,
        failed=args.failed or None,
        statuses=args.status,
        model=args.model,
        request_id=args.request,
    )


def _tell_retention(context: Context, wanted: requests.Filter) -> None:
    """Rows are kept for some days only; the sums of older ones are kept for good."""
    oldest = costs.oldest_day(context.database, context.zone)
    asked = wanted.since_ms if wanted.since_ms is not None else wanted.until_ms
    if oldest and asked is not None and asked < start_ms(oldest, context.zone):
        context.say(
            f"Requests have rows of their own from {oldest} on; for older days there are sums:"
            " airoxy stats --since DATE --by day"
        )


def _follow(context: Context, args: Namespace, wanted: requests.Filter) -> None:
    """The newest, oldest first, and then each as it is written."""
    db = context.database
    with schema.snapshot(db):
        last = requests.last_id(db)
        rows = requests.newest(db, limit=args.limit, wanted=wanted)[::-1]
    columns = _columns(context, args)
    show = partial(_show_json, context) if args.json else partial(_show, context, columns)
    if not args.json:
        _head(context, columns)
    show(rows)
    while True:
        seen = schema.data_version(db)
        while rows := requests.newest(db, limit=_AT_ONCE, after_id=last, wanted=wanted):
            last = rows[-1]["id"]
            show(rows)
        context.out.flush()
        while schema.data_version(db) == seen:
            time.sleep(LOOK)


def _show_json(context: Context, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        context.say(json.dumps(row, ensure_ascii=False))


def _columns(context: Context, args: Namespace) -> tuple[Column, ...]:
    def time_of(row: Mapping[str, Any]) -> str:
        return f"{local_time(row['requested_at'], context.zone):%m-%d %H:%M:%S}"

    return (("TIME", 14, time_of), *_COLUMNS, *(_MORE if args.wide else ()))


def _head(context: Context, columns: Sequence[Column]) -> None:
    context.say(_line(columns, (head for head, _, _ in columns)))


def _show(context: Context, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        context.say(_line(columns, (cell(row) for _, _, cell in columns)))
        if row["error_message"]:
            context.say(f"{'':{_ERROR_INDENT}}{cut(row['error_message'], _ERROR_WIDTH)}")


def _line(columns: Sequence[Column], cells: Iterable[str]) -> str:
    fitted = [
        padded(cut(cell, abs(width)), abs(width), right=width < 0)
        for cell, (_, width, _) in zip(cells, columns, strict=True)
    ]
    return "  ".join(fitted).rstrip()


def _endpoint(path: str) -> str:
    """Without what all have in common: "messages", "count_tokens", "batches/msgbatch_…"."""
    return path.removeprefix("/v1/").removeprefix("messages/")


COMMANDS = (Command("logs", "Show the newest requests", _run, _add_arguments, _DESCRIPTION),)
