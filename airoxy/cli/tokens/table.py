"""`airoxy token list` and `show`: the tokens as people and programs see them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airoxy.cli.command import Context
from airoxy.cli.show import moment, past, span, with_times
from airoxy.core.limits.units import MONEY
from airoxy.core.pool import Scope
from airoxy.store import tokens

_TIMES = ("inactive_since", "expires_at", "refreshed_at", "retry_refresh_at", "last_used_at",
          "created_at")  # fmt: skip

Row = Mapping[str, Any]


def run_list(context: Context, args: Namespace) -> None:
    now = context.now()
    rows = tokens.list_tokens(context.database, now)
    if args.json:
        return context.json([document(row) for row in rows])
    if not rows:
        return context.say("No tokens yet: airoxy token add NAME")
    optional = [
        (head, cell) for head, cell in _OPTIONAL.items() if any(cell(row) != "-" for row in rows)
    ]
    context.table(
        (
            (
                str(row["id"]),
                row["name"],
                row["type"],
                row["masked"],
                state(row, now),
                _expiry(row, now),
                str(row["refresh_failures"]),
                past(_last_use(row), now),
                *(cell(row) for _, cell in optional),
            )
            for row in rows
        ),
        ("ID", "NAME", "TYPE", "TOKEN", "STATE", "EXPIRES", "FAILURES", "LAST USED")
        + tuple(head for head, _ in optional),
        right=("ID", "FAILURES", "PRIORITY"),
    )
    return None


def run_show(context: Context, args: Namespace) -> None:
    row = tokens.find_token(context.database, context.token_id(args.id), context.now())
    show(context, row, json=args.json)


def show(context: Context, row: Row, *, json: bool) -> None:
    if json:
        return context.json(document(row))
    context.say(f"Token {row['id']}: {row['name']}")
    for name, text in _facts(row, context.now()):
        context.say(f"  {name:<12}{text}")
    return None


def document(row: Row) -> dict[str, Any]:
    """The token as JSON has it."""
    told = with_times({**row, "last_used_at": _last_use(row)}, _TIMES)
    told["coolings"] = [with_times(each, ("until",)) for each in row["coolings"]]
    told["quota"] = [with_times(each, ("resets_at", "seen_at")) for each in row["quota"]]
    return told


def state(row: Row, now: float) -> str:
    """Whether the token can be used, and if not why."""
    if not row["is_readable"]:
        return "unreadable: its key cannot be found"
    if not row["is_active"]:
        return f"inactive: {row['inactive_reason']}" if row["inactive_reason"] else "disabled"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    for period, limit, spent in _SPENDING:
        if row[limit] is not None and row[spent] >= row[limit]:
            return f"spent: its limit of {period} is reached"
    coolings = [
        f"cooling {_scope(cooling)}{span(cooling['until'] - now)} ({cooling['reason']})"
        for cooling in row["coolings"]
    ]
    return ", ".join(coolings) or "ready"


def quota(row: Row) -> str:
    """The share that is used of each quota window, in a few words."""
    return ", ".join(f"{each['window']} {each['used']:.0%}" for each in row["quota"])


def _scope(cooling: Row) -> str:
    scope = str(Scope(cooling["group"], cooling["model_class"]))
    return f"{scope} " if scope else ""


def _facts(row: Row, now: float) -> Iterator[tuple[str, str]]:
    yield "token", row["masked"]
    yield "type", row["type"]
    yield "state", state(row, now)
    if row["inactive_since"]:
        yield "since", f"{moment(row['inactive_since'])} UTC"
    yield "created", f"{moment(row['created_at'])} UTC"
    yield "last used", past(_last_use(row), now)
    if row["type"] == "oauth":
        yield "expires", _expiry(row, now)
        yield "refreshed", past(row["refreshed_at"], now)
        yield "failures", str(row["refresh_failures"])
    for window in row["quota"]:
        left = span(window["resets_at"] - now)
        yield f"quota {window['window']}", f"{window['used']:.0%} used, resets in {left}"
    yield "priority", str(row["priority"])
    yield "pool", row["pool"] or "-"
    for period, limit, spent in _SPENDING:
        if row[limit] is not None:
            yield period, f"{MONEY.show(row[spent])} of {MONEY.show(row[limit])} spent"
    if row["concurrent_requests"] is not None:
        yield "concurrent", f"{row['concurrent_requests']} requests at the most"
    if row["note"]:
        yield "note", row["note"]


#: A period, the limit of what may be spent in it, and what was.
_SPENDING = (
    ("today", "spend_per_day_nanousd", "spent_today_nanousd"),
    ("this month", "spend_per_month_nanousd", "spent_this_month_nanousd"),
)
#: Columns that are there when a token has something in them.
_OPTIONAL: dict[str, Callable[[Row], str]] = {
    "QUOTA": lambda row: quota(row) or "-",
    "PRIORITY": lambda row: str(row["priority"]) if row["priority"] else "-",
    "POOL": lambda row: row["pool"] or "-",
    "NOTE": lambda row: row["note"] or "-",
}


def _last_use(row: Row) -> float | None:
    used: int | None = row["last_used_at"]
    return used / 1e9 if used else None


def _expiry(row: Row, now: float) -> str:
    left = row["expires_at"] and row["expires_at"] - now
    return "-" if not left else f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
