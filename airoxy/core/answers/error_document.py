"""Anthropic's error documents, and the times that their sentences name."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

#: Longer messages are not Anthropic's.
_LONGEST = 300

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MONTH_FIRST = re.compile(r"\b([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})", re.IGNORECASE)
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)? ([a-z]{3,9})\.?,? (\d{4})", re.IGNORECASE)
_CLOCK = re.compile(r"[T ,]{0,2}(?:at )?(\d{1,2}):(\d\d)(?::(\d\d))?")


class ErrorDocument:
    """What an error body says; of what is no error document everything is empty."""

    __slots__ = ("code", "message", "type")

    def __init__(self, body: bytes) -> None:
        error = _error(body)
        message, kind = error.get("message"), error.get("type")
        details = error.get("details")
        #: One line of bounded length.
        self.message = " ".join(message.split())[:_LONGEST] if isinstance(message, str) else ""
        self.type = kind if isinstance(kind, str) else ""
        self.code = details.get("error_code") if isinstance(details, dict) else None


def _error(body: bytes) -> dict[str, object]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def named_time(sentence: str, now: float) -> float | None:
    """The future Unix time that a sentence names, as in "You will regain access on 2026-12-01 at
    00:00 UTC."; a date without a time is the beginning of that day."""
    for day, end in _days(sentence):
        clock = _CLOCK.match(sentence, end)
        hour, minute, second = (int(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
        try:
            moment = datetime(*day, hour, minute, second, tzinfo=UTC).timestamp()
        except ValueError:
            continue
        if moment > now:
            return moment
    return None


def _days(sentence: str) -> list[tuple[tuple[int, int, int], int]]:
    """Year, month and day of each date, and where it ends."""
    return [
        *(((int(d[1]), int(d[2]), int(d[3])), d.end()) for d in _ISO.finditer(sentence)),
        *(((int(d[3]), _month(d[1]), int(d[2])), d.end()) for d in _MONTH_FIRST.finditer(sentence)),
        *(((int(d[3]), _month(d[2]), int(d[1])), d.end()) for d in _DAY_FIRST.finditer(sentence)),
    ]


def _month(name: str) -> int:
    """0, which is no month, for what is no month's name."""
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0
