"""What the headers of an answer say about when to ask again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")

_UNIFIED = b"anthropic-ratelimit-unified-"
_WINDOW = re.compile(rb"anthropic-ratelimit-unified-(.+)-status")

#: RFC 9110, section 5.6.7: the form in use and the two obsolete ones that must be understood.
_DATE_FORMS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")


def retry_after_seconds(value: bytes | str | None, now: float) -> float | None:
    """Seconds from `now` (Unix time), 0 for a date that has passed, None for what is neither a
    number of seconds nor an HTTP date."""
    if value is None:
        return None
    text = (value.decode("latin-1") if isinstance(value, bytes) else value).strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    for form in _DATE_FORMS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return max(0.0, moment.timestamp() - now)
    return None


def unified_reset(headers: Mapping[bytes, bytes], model_class: str, now: float) -> float | None:
    """The latest reset (Unix time, later than `now`) of the subscription's windows that are
    rejected for `model_class`: a window such as `7d_opus` is about that family only."""
    windows = [
        found[1]
        for name, value in headers.items()
        if value == b"rejected" and (found := _WINDOW.fullmatch(name))
    ]
    resets = [
        headers.get(_UNIFIED + window + b"-reset")
        for window in windows
        if window.partition(b"_")[2].decode("latin-1") in model_class
    ]
    if not windows and headers.get(_UNIFIED + b"status") == b"rejected":
        resets = [headers.get(_UNIFIED + b"reset")]
    moments = [moment for reset in resets if reset and (moment := unix_time(reset)) > now]
    return max(moments, default=None)


def unix_time(value: bytes) -> float:
    """A Unix time in seconds or RFC 3339; 0 for anything else."""
    text = value.decode("latin-1").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
