"""`airoxy logs`: the newest requests, and those that come."""

from __future__ import annotations

import argparse
import datetime
import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airoxy.calendar import start_ms
from airoxy.cli.command import Command, Context
from airoxy.cli.fleet.everybody import Everybody, merged
from airoxy.cli.parsing.arguments import (
    HOSTS,
    JSON,
    argument,
    checked,
    choice,
    either,
    flag,
    limit,
)
from airoxy.cli.stats.log_table import LogTable
from airoxy.core.statuses import typed_statuses
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import schema
from airoxy.store.usage import costs, requests
from airoxy.views.formats import is_coloured

if TYPE_CHECKING:
    from airoxy.fleet.overview.log import OthersLog, Shipped

#: How often a follower looks whether something was written (seconds).
LOOK = 0.2
#: Requests that a follower takes at once.
_AT_ONCE = 1000


def _statuses(text: str) -> tuple[int, ...]:
    return checked(typed_statuses, text)


def _models(text: str) -> str:
    """Also by the short names that the table has: without the maker and the date."""
    words = [word.strip() for word in text.split(",")]
    globs = [f"{maker}{word}" for word in words for maker in ("", "claude-")]
    return ",".join(f"{glob}{date}" for glob in globs for date in ("", "-20??????"))


def _date(text: str) -> datetime.date:
    try:
        day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()
        _ = day + datetime.timedelta(1)
        return day
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("a day looks like 2026-11-22") from None


def _run(context: Context, args: Namespace) -> None:
    wanted = _filter(context, args)
    everybody = Everybody(context, here=args.here, host=args.host)
    if args.follow:
        return _follow(context, args, wanted, everybody)
    rows = everybody.newest(args.limit, wanted)
    if args.json:
        return context.json(rows)
    if not rows:
        context.say("No requests yet." if wanted == requests.Filter() else "No such requests.")
        return _tell_retention(context, wanted, context.say)
    _table(context, args, everybody).show(rows)
    if len(rows) < args.limit:
        _tell_retention(context, wanted, context.warn)
    return None


def _table(context: Context, args: Namespace, everybody: Everybody) -> LogTable:
    wanted = {"always": True, "never": False}
    coloured = wanted.get(args.color, is_coloured(context.out, context.environ))
    return LogTable(context, wide=args.wide, is_coloured=coloured, has_hosts=everybody.is_shared)


def _filter(context: Context, args: Namespace) -> requests.Filter:
    now = context.now()
    day = context.today() if args.today else args.date
    since, until = context.since_and_until(args)
    if day is not None:
        since = start_ms(day, context.zone)
        end = start_ms(day + datetime.timedelta(1), context.zone)
        if not (args.follow and args.today):  # which goes on over midnight
            until = end if until is None else min(until, end)
    if since is not None and until is not None and since >= until:
        raise InvalidInput("--until is before --since: nothing is between them.")
    if args.follow and until is not None and until <= now * 1000:
        raise InvalidInput("--follow is about what comes: leave --until and past days out.")
    return requests.Filter(
        **context.whose(args),
        since_ms=since,
        until_ms=until,
        failed=args.failed or None,
        statuses=args.status,
        model=args.model,
        request_id=args.request,
    )


def _tell_retention(context: Context, wanted: requests.Filter, say: Callable[[str], None]) -> None:
    """Rows are kept for some days only; the sums of older ones are kept for good."""
    oldest = costs.oldest_day(context.database, context.zone)
    asked = wanted.since_ms if wanted.since_ms is not None else wanted.until_ms
    if oldest and asked is not None and asked < start_ms(oldest, context.zone):
        say(
            f"Requests have rows of their own from {oldest} on; for older days there are sums:"
            " airoxy stats --since DATE --by day"
        )


def _follow(
    context: Context, args: Namespace, wanted: requests.Filter, everybody: Everybody
) -> None:
    """The newest, oldest first, and then each as it is written; other hosts' as they ship them."""
    db = context.database
    shown = partial(_show_json, context) if args.json else _table(context, args, everybody).show
    with schema.snapshot(db):
        last = requests.last_id(db)
        rows = everybody.newest(args.limit, wanted)[::-1]
    shown(rows)
    feed = everybody.feed(partial(_later, wanted), partial(_tell, context))
    while True:
        db, seen = context.database, schema.data_version(context.database)
        # A database that was restored may be one from before.
        last = min(last, requests.last_id(db))
        while rows := requests.newest(db, limit=_AT_ONCE, after_id=last, wanted=wanted):
            last = rows[-1]["id"]
            shown(everybody.own(rows))
        while feed:
            shown(merged(everybody.told(*feed.take()))[::-1])
        context.out.flush()
        while not (context.reopen_replaced() or feed) and schema.data_version(db) == seen:
            time.sleep(LOOK)


def _later(wanted: requests.Filter, log: OthersLog) -> list[Shipped]:
    found: list[Shipped] = []
    while rows := log.later(_AT_ONCE, wanted):
        found += rows
    return found


def _tell(context: Context, error: AiroxyError | None) -> None:
    if error is None:
        return context.warn("airoxy: From now on requests of all hosts are shown again.")
    return context.warn(f"airoxy: Requests of other hosts are not shown for now. {error.message}")


def _show_json(context: Context, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        context.say(json.dumps(row, ensure_ascii=False))


_ARGUMENTS = (
    limit("how many"),
    either(
        flag("--today", "only today's"),
        argument("--date", "DATE", "only this day's (2026-11-22)", type=_date),
        argument("--since", "TIME", "only from then on (2h ago, 2026-11-22T17:30, 17:30)"),
    ),
    argument("--until", "TIME", "only those before then"),
    flag("--failed", "only those that failed"),
    argument(
        "--status",
        "CODE",
        "only with this status (429, 5xx; several with commas)",
        type=_statuses,
    ),
    argument(
        "--model",
        "GLOB",
        "only with this model (opus-*, quoted; several with commas)",
        type=_models,
    ),
    argument("--request", "ID", "only the request with this id (req_…, from an answer)"),
    argument("--token", "ID", "only those with this token (id or name)"),
    argument("--key", "ID", "only those with this client key (id or name)"),
    argument("--group", "ID", "only those with a client key of this group (id or name)"),
    flag("--wide", "also attempts, first byte, ending and request id"),
    choice(
        "--color",
        ("auto", "always", "never"),
        "whether the status has a colour (default: on a terminal)",
        "auto",
    ),
    flag("--follow", "go on with those that come, until Ctrl-C", "-f"),
    HOSTS,
    JSON,
)
COMMANDS = (
    Command(
        "logs",
        "Show the newest requests",
        _run,
        _ARGUMENTS,
        ". WRITE and READ are tokens written to and read from the prompt cache. A cost with ~ is an"
        " estimate, because the answer broke off before its counts; ? is the cost of what cannot be"
        " counted. A status with 'left' is of a client that went away, with 'fail' of an answer"
        " that broke off or was none, with 'kill' of one that ran when its worker process was"
        " killed. With --wide, TRIES is how many tokens were tried, FIRST the time to the first"
        " byte of the answer, REQUEST ID Anthropic's, and CLIENT where the client sits. A terminal"
        " gets the columns that fit it, and colours unless NO_COLOR is set. Times are those of"
        " `timezone` in the configuration. In a fleet the requests of all hosts are shown, and HOST"
        " is where each was.",
    ),
)
