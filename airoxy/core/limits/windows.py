"""Limits of money as headers tell them: as the quota windows of a subscription, which Claude Code
reads and warns of."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from airoxy.core.limits.measures import DAY, Period, Spend
from airoxy.core.limits.table import LIMITS, Limits

Headers = list[tuple[bytes, bytes]]

UNIFIED = b"anthropic-ratelimit-unified-"
_ORGANISATION = b"anthropic-organization-id"
#: Used shares of a limit at which clients are warned.
_THRESHOLDS = (0.95, 0.75)
#: Claude Code knows two windows by their names: the shorter stands for a day, the longer for the
#: nearest limit of a longer period.
_SHORT, _LONG = (b"5h", b"five_hour"), (b"7d", b"seven_day")

_SPENDING = tuple(
    (limit.name, limit.measure) for limit in LIMITS if isinstance(limit.measure, Spend)
)


class Window(NamedTuple):
    """The share of a limit that is spent (1 and more is all of it) and when its period ends."""

    period: Period
    used: float
    ends: float


def windows(
    limits: Limits, spent: Mapping[str, int], now: float, zone: datetime.tzinfo
) -> list[Window]:
    """Those of the limits of money; `spent` is by the names of the periods, which are those of
    `zone`."""
    return [
        Window(
            measure.period,
            spent[measure.period.name] / most if most else 1.0,
            measure.period.end(now, zone),
        )
        for name, measure in _SPENDING
        if (most := getattr(limits, name)) is not None
    ]


def headers(found: Iterable[Window]) -> Headers:
    """Each window by the name of its period, and by those that Claude Code knows; nothing where
    there is none."""
    by_period: dict[str, Window] = {}
    for window in found:
        name = window.period.name
        by_period[name] = max(window, by_period.get(name, window), key=_used)
    told: Headers = []
    known: dict[tuple[bytes, bytes], Window] = {}
    for name, window in by_period.items():
        told += _fields(name.encode(), window)
        short = _SHORT if window.period is DAY else _LONG
        known[short] = max(window, known.get(short, window), key=_used)
    for (name_, _), window in known.items():
        told += _fields(name_, window)
    if not known:
        return []
    (_, claim), nearest = max(known.items(), key=lambda each: each[1].used)
    told += [(UNIFIED + b"status", _status(nearest)), *_reset(b"", nearest)]
    return [*told, (UNIFIED + b"representative-claim", claim)]


def without_account(passed: Headers, *, organisation: bool) -> Headers:
    """Less what the answer says of the upstream token's windows, and of its organisation."""
    return [
        header
        for header in passed
        if not header[0].startswith(UNIFIED) and not (organisation and header[0] == _ORGANISATION)
    ]


def _used(window: Window) -> float:
    return window.used


def _fields(name: bytes, window: Window) -> Headers:
    prefix = UNIFIED + name + b"-"
    told = [
        (prefix + b"status", _status(window)),
        (prefix + b"utilization", b"%g" % round(window.used, 4)),
        *_reset(name + b"-", window),
    ]
    passed = next((each for each in (1, *_THRESHOLDS) if window.used >= each), None)
    if passed is not None:
        told.append((prefix + b"surpassed-threshold", b"%g" % passed))
    return told


def _status(window: Window) -> bytes:
    if window.used >= 1:
        return b"rejected"
    return b"allowed_warning" if window.used >= min(_THRESHOLDS) else b"allowed"


def _reset(name: bytes, window: Window) -> Headers:
    """Nothing for a limit in total, which does not open again."""
    if window.ends == math.inf:
        return []
    return [(UNIFIED + name + b"reset", b"%d" % window.ends)]
