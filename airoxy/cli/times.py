"""Moments as they are typed: `2h` (ago), `2026-11-22`, `2026-11-22T17:30`, `17:30`; all in UTC."""

from __future__ import annotations

import datetime
import re

from airoxy.calendar import day_of
from airoxy.errors import InvalidInput

_AGO = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_CLOCK = re.compile(r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?", re.ASCII)


def moment(text: str, now: float, option: str) -> float:
    """The Unix time that is meant. Raises InvalidInput."""
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        if _CLOCK.fullmatch(text):
            text = f"{day_of(now)}T{text}"
        typed = datetime.datetime.fromisoformat(text)
        return typed.replace(tzinfo=typed.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{option} {text!r}: a moment looks like 2h (ago), 2026-11-22, 2026-11-22T17:30"
            " or 17:30."
        ) from None
