"""How amounts look to a person: money, counts, lengths of time, bars."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from airoxy.core.names import printable

_EIGHTHS = " ▏▎▍▌▋▊▉"
_CYAN, _PLAIN = "\033[36m", "\033[0m"


def dollars(nanousd: int) -> str:
    """The one form of money: cents from a dollar on, below it four digits, since a request costs
    hundredths of a cent. In JavaScript it is in server/metrics/key_page.html; what an operator
    typed is shown by core.billing.money.exact_dollars."""
    if nanousd < 0:
        return f"-{dollars(-nanousd)}"
    if nanousd >= 1_000_000_000:
        return f"${nanousd / 1e9:,.2f}"
    if 0 < nanousd < 50_000:
        return "<$.0001"
    return f"${nanousd / 1e9:.4f}" if nanousd else "$0"


def cents(nanousd: int) -> str:
    """For columns of amounts that are added up: always two decimals."""
    if nanousd < 0:
        return f"-{cents(-nanousd)}"
    return "<$0.01" if 0 < nanousd < 5_000_000 else f"${nanousd / 1e9:,.2f}"


def short(count: int) -> str:
    """At most five characters: 9999, 12.3k, 123k, 1.23M."""
    if count < 10_000:
        return str(count)
    scaled, letter = count / 1000, "k"
    for bigger in "MG":
        if scaled >= 999.5:
            scaled, letter = scaled / 1000, bigger
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits}f}{letter}"


def short_model(model: str | None) -> str:
    """Without the maker and the date."""
    return re.sub(r"-20\d{6}$", "", (model or "-").removeprefix("claude-"))


def duration(milliseconds: int) -> str:
    """How long something took: 640ms, 12.3s, 4m05s, 1h02m."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f}s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes}m{seconds:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: two for 日, none for an accent."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with spaces behind it, or before it where it stands `right`."""
    spaces = " " * (width - columns(text))
    return spaces + text if right else text + spaces


def cut(text: str, width: int) -> str:
    """At most `width` columns, without what a terminal takes for a command."""
    shown = printable(text)
    if columns(shown) <= width:
        return shown
    while columns(shown) > width - 1:
        shown = shown[: min(len(shown) - 1, width - 1)]
    return f"{shown}…"


def bar(share: float, width: int, out: TextIO) -> str:
    """`share` (0 to 1) of `width` characters; what is not nothing can be seen."""
    if "utf" not in (out.encoding or "").lower():
        return "#" * (max(1, round(share * width)) if share > 0 else 0)
    eighths = max(1, round(share * width * 8)) if share > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def is_coloured(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether colours are seen and wanted (https://no-color.org)."""
    return out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def painted(text: str, out: TextIO, environ: Mapping[str, str]) -> str:
    """In cyan, where colours are wanted."""
    return f"{_CYAN}{text}{_PLAIN}" if text and is_coloured(out, environ) else text


def terminal_width(out: TextIO, environ: Mapping[str, str]) -> int | None:
    """The columns of the terminal that `out` is; None where it is none."""
    if not out.isatty():
        return None
    if (given := environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    with suppress(OSError, ValueError):  # such as that of a test, which has no descriptor
        return os.get_terminal_size(out.fileno()).columns or 80
    return 80


def fitted(
    lines: Sequence[Sequence[str]],
    width: int,
    leave_out: Sequence[str],
    cuttable: Mapping[str, int],
) -> list[list[str]]:
    """A table, of which the first line is its head, in so many columns of a terminal if that can
    be: without those of `leave_out` that there is no room for, the first of them first, and with
    those that are `cuttable` as narrow as need be, but not narrower than is said there."""
    head = lines[0]
    sizes = {name: max(columns(line[n]) for line in lines) for n, name in enumerate(head)}
    least = {
        name: min(size, max(columns(name), cuttable.get(name, size)))
        for name, size in sizes.items()
    }
    kept = list(head)
    for name in leave_out:
        if sum(least[each] + 2 for each in kept) - 2 <= width:
            break
        kept = [each for each in kept if each != name]
    while sum(sizes[each] + 2 for each in kept) - 2 > width:
        wide = [each for each in kept if sizes[each] > least[each]]
        if not wide:
            break
        sizes[max(wide, key=lambda each: sizes[each])] -= 1
    places = [(head.index(name), sizes[name]) for name in kept]
    return [[cut(line[place], size) for place, size in places] for line in lines]
