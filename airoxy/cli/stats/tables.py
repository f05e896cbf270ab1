"""The tables of usage that `airoxy stats` and its reports have in common."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airoxy.cli.command import Context
from airoxy.core.billing.usage import HEADINGS
from airoxy.store.usage.daily import TOTALS
from airoxy.views.formats import bar, columns, cut, dollars, painted, short, terminal_width
from airoxy.views.times import moment

Totals = Mapping[str, Any]

HEADS = ("REQUESTS", "FAILED", *HEADINGS, "COST")
_WIDEST_BAR, _NARROWEST_BAR = 40, 5
_WIDEST_NAME, _NARROWEST_NAME = 40, 10
#: With the gaps before and after.
_PIPED_BAR = 13


def show_groups(context: Context, by: str, groups: Sequence[Totals]) -> None:
    """A line for each group with a bar for its cost (its requests where nothing cost anything),
    and one for all."""
    rows = _every_day(groups) if by == "day" else groups
    total = {name: sum(row[name] for row in groups) for name in TOTALS}
    measure = "cost_nanousd" if total["cost_nanousd"] else "requests"
    most = max(row[measure] for row in rows)
    names = [*(_NAMES[by](context, row) for row in rows), "total"]
    counts = [cells(row) for row in (*rows, total)]
    room = _room(HEADS, counts, terminal_width(context.out, context.environ))
    names = [cut(name, max(_NARROWEST_NAME, min(_WIDEST_NAME, room))) for name in names]
    left = room - max(map(columns, (by.upper(), *names))) - 3
    width = min(_WIDEST_BAR, left) if left >= _NARROWEST_BAR else 0
    bars = [bar(row[measure] / most, width, context.out) if width else "" for row in rows]
    bars = [painted(drawn, context.out, context.environ) for drawn in bars]
    context.table(
        (
            (name, *line, drawn)
            for name, line, drawn in zip(names, counts, [*bars, ""], strict=True)
        ),
        (by.upper(), *HEADS, ""),
        right=HEADS,
    )


def _room(heads: Sequence[str], counts: Sequence[Sequence[str]], terminal: int | None) -> int:
    """What the numbers leave of the terminal for names and bars; on a pipe there is enough."""
    numbers = sum(2 + max(map(len, column)) for column in zip(heads, *counts, strict=True))
    if terminal is not None:
        return terminal - numbers
    return max(shutil.get_terminal_size((100, 24)).columns - numbers, _WIDEST_NAME + _PIPED_BAR)


def cells(totals: Totals) -> tuple[str, ...]:
    """What stands under HEADS."""
    return (
        f"{totals['requests']:,}",
        f"{totals['failed']:,}",
        *(short(sum(totals[name] for name in names)) for names in HEADINGS.values()),
        dollars(totals["cost_nanousd"]),
    )


_NAMES: dict[str, Callable[[Context, Totals], str]] = {
    "hour": lambda context, row: moment(row["hour"], context.zone),
    "day": lambda _, row: row["day"],
    "model": lambda _, row: row["model"] or "-",
    "token": lambda _, row: _name(row["token_id"], row["token_name"]),
    "key": lambda _, row: _name(row["api_key_id"], row["api_key_name"]),
    "group": lambda _, row: _name(row["group_id"], row["group_name"]),
    "host": lambda _, row: row["host"],
}


def _name(number: int | None, name: str | None) -> str:
    return "-" if number is None else f"{name} ({number})" if name else str(number)


def _every_day(groups: Sequence[Totals]) -> list[Totals]:
    """With the days on which nothing happened, so that the eye can measure time."""
    known = {row["day"]: row for row in groups}
    first, last = (datetime.date.fromisoformat(groups[i]["day"]) for i in (0, -1))
    days = [(first + datetime.timedelta(i)).isoformat() for i in range((last - first).days + 1)]
    return [known.get(day, dict.fromkeys(TOTALS, 0) | {"day": day}) for day in days]
