"""What a `retry-after` header says, in seconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")

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
