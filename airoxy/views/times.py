"""How times look to people and programs, and how a moment is typed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airoxy.calendar import day_number, day_of, numbered_day, start
from airoxy.errors import InvalidInput

_AGO = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_CLOCK = re.compile(r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?", re.ASCII)
_DAYS = {"d": 1, "w": 7}
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def rfc3339(seconds: float | None, zone: datetime.tzinfo = datetime.UTC) -> str | None:
    """A Unix time for programs: "2026-11-22T17:18:44Z"; to the millisecond where it is no whole
    second."""
    if seconds is None:
        return None
    exact = datetime.datetime.fromtimestamp(seconds, zone)
    text = exact.isoformat(timespec="milliseconds" if exact.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def with_times(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The row with the Unix times of these fields as programs get them."""
    return {**row, **{name: rfc3339(row[name]) for name in names if name in row}}


def moment(seconds: float | None, zone: datetime.tzinfo) -> str:
    """A Unix time as "2026-11-22 17:18", or a dash."""
    if not seconds:
        return "-"
    return datetime.datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M")


def zoned_moment(seconds: float, zone: datetime.tzinfo) -> str:
    """A Unix time as "2026-11-22 17:18 UTC"."""
    return datetime.datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M %Z")


def local_time(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    """A time of a row, as programs get it, on the clocks of `zone`."""
    return datetime.datetime.fromisoformat(text).astimezone(zone)


def time_of_day(seconds: float, zone: datetime.tzinfo) -> str:
    """A Unix time as "17:18:44 UTC"."""
    return datetime.datetime.fromtimestamp(seconds, zone).strftime("%H:%M:%S %Z")


def span(seconds: float) -> str:
    """A length of time in its two largest units: "3d 4h", "59m 10s"."""
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    left = max(0, round(seconds))
    parts: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count}{name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or "0s"


def past(seconds: float | None, now: float) -> str:
    """How long ago a Unix time was, or "never"."""
    return f"{span(now - seconds)} ago" if seconds else "never"


def typed_day(text: str, now: float, option: str, zone: datetime.tzinfo) -> datetime.date:
    """The day that is meant by `7d` (ago) or `2026-11-22`. Raises InvalidInput."""
    if (ago := _AGO.fullmatch(text)) and ago[2] in _DAYS:
        # By the calendar: a day on which clocks change has another length.
        today = day_number(day_of(now, zone))
        return numbered_day(max(0, today - int(ago[1]) * _DAYS[ago[2]]))
    moment = typed_moment(text, now, option, zone)
    day = day_of(moment, zone)
    if moment != start(day, zone):
        raise InvalidInput(f"{option}: sums are of whole days; by hour: --by hour")
    return day


def typed_moment(text: str, now: float, option: str, zone: datetime.tzinfo) -> float:
    """The Unix time that is meant by `2h` (ago), `2026-11-22`, `2026-11-22T17:30` or `17:30`, all
    in `zone`. Raises InvalidInput."""
    if ago := _AGO.fullmatch(text):
        return max(0.0, now - int(ago[1]) * UNITS[ago[2]])
    try:
        if _CLOCK.fullmatch(text):
            text = f"{day_of(now, zone)}T{text}"
        typed = datetime.datetime.fromisoformat(text)
        typed = typed.replace(tzinfo=typed.tzinfo or zone)
        # Nothing is older or newer, and the clocks of every zone know these years.
        first, last = (datetime.datetime(year, 1, 1, tzinfo=typed.tzinfo) for year in (1971, 9999))
        typed = min(max(first, typed), last)
        return typed.timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{option} {text!r}: a moment looks like 2h (ago), 2026-11-22, 2026-11-22T17:30"
            " or 17:30."
        ) from None
