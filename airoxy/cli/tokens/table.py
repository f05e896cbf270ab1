"""`airoxy token list` and `show`: the tokens as people and programs see them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from airoxy.cli.command import Context
from airoxy.cli.fleet.spending import see_spending
from airoxy.store import tokens
from airoxy.store.fleet.hosts import LastUses
from airoxy.views.formats import dollars
from airoxy.views.times import past, span, zoned_moment
from airoxy.views.tokens import SPENDING, document, last_use, quota, state

Row = Mapping[str, Any]


def run_list(context: Context, args: Namespace) -> None:
    now = context.now()
    used = see_spending(context, here=args.here)
    rows = _with_uses(tokens.list_tokens(context.database, now), used)
    columns: dict[str, Callable[[Row], str]] = {
        "ID": lambda row: str(row["id"]),
        "NAME": itemgetter("name"),
        "TYPE": itemgetter("type"),
        "TOKEN": itemgetter("masked"),
        "STATE": lambda row: state(row, now),
        "EXPIRES": lambda row: _expiry(row, now),
        "FAILURES": lambda row: str(row["refresh_failures"]),
        "LAST USED": lambda row: past(last_use(row), now),
    }
    columns |= {
        head: cell for head, cell in _OPTIONAL.items() if any(cell(row) != "-" for row in rows)
    }
    context.listing(
        args, rows, document, columns, "No tokens yet: airoxy token add NAME",
        right=("ID", "FAILURES", "PRIORITY"), leave_out=_LEFT_OUT, cuttable=_CUTTABLE,
    )  # fmt: skip


def run_show(context: Context, args: Namespace) -> None:
    token_id = context.token_id(args.id)
    used = see_spending(context, here=args.here)
    (row,) = _with_uses([tokens.find_token(context.database, token_id, context.now())], used)
    show(context, row, json=args.json)


def _with_uses(rows: list[dict[str, Any]], used: LastUses) -> list[dict[str, Any]]:
    """Also by other hosts; a token has its last use in nanoseconds."""
    for row in rows:
        elsewhere = round(used.tokens.get(row["id"], 0.0) * 1e9)
        row["last_used_at"] = max(row["last_used_at"] or 0, elsewhere) or row["last_used_at"]
    return rows


def show(context: Context, row: Row, *, json: bool) -> None:
    if json:
        return context.json(document(row))
    return context.facts(f"Token {row['id']}: {row['name']}", _facts(context, row))


def _facts(context: Context, row: Row) -> Iterator[tuple[str, str]]:
    now = context.now()
    yield "token", row["masked"]
    yield "type", row["type"]
    yield "state", state(row, now)
    if row["inactive_since"]:
        yield "since", zoned_moment(row["inactive_since"], context.zone)
    yield "created", zoned_moment(row["created_at"], context.zone)
    yield "last used", past(last_use(row), now)
    if row["type"] == "oauth":
        yield "expires", _expiry(row, now)
        yield "refreshed", past(row["refreshed_at"], now)
        yield "failures", str(row["refresh_failures"])
    for window in row["quota"]:
        left = span(window["resets_at"] - now)
        yield f"quota {window['window']}", f"{window['used']:.0%} used, resets in {left}"
    yield "priority", str(row["priority"])
    yield "pool", row["pool"] or "-"
    for period, limit, spent in SPENDING:
        if row[limit] is not None:
            yield period, f"{dollars(row[spent])} of {dollars(row[limit])} spent"
    if row["concurrent_requests"] is not None:
        yield "concurrent", f"{row['concurrent_requests']} requests at the most"
    if row["note"]:
        yield "note", row["note"]


#: Columns that are there when a token has something in them.
_OPTIONAL: dict[str, Callable[[Row], str]] = {
    "QUOTA": lambda row: quota(row) or "-",
    "PRIORITY": lambda row: str(row["priority"]) if row["priority"] else "-",
    "POOL": lambda row: row["pool"] or "-",
    "NOTE": lambda row: row["note"] or "-",
}


#: What a narrow terminal does without, the first of them first, and what it has cut.
_LEFT_OUT = ("NOTE", "TOKEN", "FAILURES", "TYPE", "PRIORITY", "LAST USED", "POOL", "EXPIRES",
             "QUOTA")  # fmt: skip
_CUTTABLE = {"NAME": 12, "STATE": 24, "POOL": 8, "NOTE": 12}


def _expiry(row: Row, now: float) -> str:
    left = row["expires_at"] and row["expires_at"] - now
    return "-" if not left else f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
