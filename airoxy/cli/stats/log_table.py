"""The table of `airoxy logs`: which columns fit the terminal, and what is coloured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from airoxy.cli.command import Context
from airoxy.core.billing.usage import HEADINGS
from airoxy.store.usage.requests import ENDED_BADLY
from airoxy.views.formats import (
    cut,
    dollars,
    duration,
    padded,
    short,
    short_model,
    terminal_width,
)
from airoxy.views.times import local_time

Row = Mapping[str, Any]
# Head, width (negative: a number), and what is in it. Of a fixed width, since who follows cannot
# know what will come.
Column = tuple[str, int, Callable[[Row], str]]

_ENDINGS = {
    "complete": "",
    "client_left": " left",
    "upstream_failed": " fail",
    "worker_killed": " kill",
}
_GAP = 2
_ERROR_INDENT, _ERROR_WIDTH = 16, 100
_BOLD, _DIM, _GREEN, _YELLOW, _RED, _PLAIN = (f"\033[{n}m" for n in (1, 2, 32, 33, 31, 0))


def _summed(names: tuple[str, ...], row: Row) -> str:
    return short(sum(row[name] for name in names))


def _cost(row: Row) -> str:
    """Marked where it is an estimate, or not known at all."""
    if row["uncounted"]:
        return "?"
    return f"{'~' if row['is_estimate'] else ''}{dollars(row['cost_nanousd'])}"


def _endpoint(row: Row) -> str:
    """Without what all have in common: "messages", "count_tokens", "batches/msgbatch_…"."""
    path: str = row["endpoint"].rstrip("/")
    return path.removeprefix("/v1/").removeprefix("messages/")


#: With the time 120 columns in all.
_COLUMNS: tuple[Column, ...] = (
    ("KEY", 10, lambda r: r["api_key_name"] or str(r["api_key_id"])),
    ("TOKEN", 10, lambda r: r["token_name"] or "-"),
    ("ENDPOINT", 12, _endpoint),
    ("MODEL", 12, lambda r: short_model(r["model"])),
    *((heading, -5, partial(_summed, names)) for heading, names in HEADINGS.items()),
    ("COST", -7, _cost),
    ("STATUS", 8, lambda r: f"{r['status_code']}{_ENDINGS[r['ending']]}"),
    ("TOOK", -5, lambda r: duration(r["duration_ms"])),
)
_HOST: Column = ("HOST", 8, lambda r: r["host"])
#: What `--wide` adds.
_MORE: tuple[Column, ...] = (
    ("TRIES", -5, lambda r: str(r["attempts"])),
    ("FIRST", -5, lambda r: "-" if r["ttfb_ms"] is None else duration(r["ttfb_ms"])),
    ("ENDING", 15, lambda r: r["ending"]),
    ("REQUEST ID", 28, lambda r: r["request_id"] or "-"),
    ("CLIENT", 15, lambda r: r["client_address"] or "-"),
    ("GROUP", 12, lambda r: r["group_name"] or "-"),
)
#: Of these, what a terminal that has room for it shows, in this order.
_ADDED = ("REQUEST ID", "FIRST", "CLIENT")
#: What a narrow terminal does without, the first of them first.
_LEFT_OUT = ("ENDPOINT", "WRITE", "READ", "TOKEN", "HOST", "OUT", "IN", "TOOK", "COST", "KEY")
#: How wide names become before columns are added, and how wide after.
_READABLE = {"HOST": 12, "KEY": 20, "TOKEN": 16, "MODEL": 18}
_WIDEST = {"HOST": 32, "KEY": 32, "TOKEN": 32, "MODEL": 32, "ENDPOINT": 32, "CLIENT": 39}


class LogTable:
    """Prints requests, under the heads of the columns that fit: all of them where no terminal
    is. `has_hosts`: they are a fleet's."""

    def __init__(
        self, context: Context, *, wide: bool, is_coloured: bool, has_hosts: bool = False
    ) -> None:
        self._context = context
        self._has_hosts = has_hosts
        self._wide = wide
        self._is_coloured = is_coloured
        self._columns: list[Column] = []
        self._width: int | None = -1

    def show(self, rows: Iterable[Row]) -> None:
        """The heads, too, where the terminal has another width than before."""
        width = terminal_width(self._context.out, self._context.environ)
        if width != self._width:
            self._width, self._columns = width, fitted(self._all(), width, wide=self._wide)
            heads = self._line(head for head, _, _ in self._columns)
            self._context.say(self._painted(heads, _BOLD))
        for row in rows:
            self._context.say(self._line(self._cells(row), _colour(row)))
            if row["error_message"]:
                self._context.say(self._painted(self._error(row["error_message"]), _DIM))

    def _all(self) -> list[Column]:
        def time_of(row: Row) -> str:
            return f"{local_time(row['requested_at'], self._context.zone):%m-%d %H:%M:%S}"

        host = [_HOST] if self._has_hosts else []
        return [("TIME", 14, time_of), *host, *_COLUMNS, *_MORE]

    def _cells(self, row: Row) -> Iterable[str]:
        return (cell(row) for _, _, cell in self._columns)

    def _line(self, cells: Iterable[str], colour: str = "") -> str:
        """`colour` is that of the status."""
        found = []
        for cell, (head, width, _) in zip(cells, self._columns, strict=True):
            text = padded(cut(cell, abs(width)), abs(width), right=width < 0)
            found.append(self._painted(text, colour) if colour and head == "STATUS" else text)
        return (" " * _GAP).join(found).rstrip()

    def _error(self, message: str) -> str:
        width = self._width or _ERROR_INDENT + _ERROR_WIDTH
        indent = min(_ERROR_INDENT, width // 5)
        return f"{'':{indent}}{cut(message, max(1, width - indent))}"

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._is_coloured else text


def fitted(columns: list[Column], width: int | None, *, wide: bool) -> list[Column]:
    """Those that are shown in so many columns, of the widths that they get there. With `wide` it is
    all of them; without a terminal their widths are the same everywhere."""
    added = {head for head, _, _ in _MORE}
    if width is None:
        return [each for each in columns if wide or each[0] not in added]
    if wide:
        return _widened(columns, 10**6, _READABLE)
    shown = [each for each in columns if each[0] not in added]
    for head in _LEFT_OUT:
        if _taken(shown) <= width:
            break
        shown = [each for each in shown if each[0] != head]
    shown = _widened(shown, width, _READABLE)
    for head in _ADDED:
        more = [*shown, *(each for each in columns if each[0] == head)]
        shown = more if _taken(more) <= width else shown
    return _widened(shown, width, _WIDEST)


def _taken(columns: list[Column]) -> int:
    return sum(abs(width) + _GAP for _, width, _ in columns) - _GAP


def _widened(columns: list[Column], width: int, most: Mapping[str, int]) -> list[Column]:
    """With what is left of `width` given to the names, to each the same."""
    widths = {head: size for head, size, _ in columns}
    left = width - _taken(columns)
    while left > 0:
        growing = [head for head in widths if 0 <= widths[head] < most.get(head, 0)][:left]
        if not growing:
            break
        for head in growing:
            widths[head] += 1
        left -= len(growing)
    return [(head, widths[head], cell) for head, _, cell in columns]


def _colour(row: Row) -> str:
    if row["status_code"] >= 500 or row["ending"] in ENDED_BADLY:
        return _RED
    return _YELLOW if row["status_code"] >= 400 or row["ending"] != "complete" else _GREEN
