"""What may be set of an upstream token beside its name, and how it is typed."""

from __future__ import annotations

from airoxy.core.limits.units import COUNT, MONEY
from airoxy.core.names import read_name, read_note
from airoxy.errors import InvalidInput

_MOST_PRIORITY = 1000


def _priority(text: str) -> int:
    try:
        number = int(text[:12])
    except ValueError:
        raise InvalidInput(f"{text!r} is no whole number") from None
    if abs(number) > _MOST_PRIORITY:
        raise InvalidInput(f"{text} is out of range; give -{_MOST_PRIORITY} to {_MOST_PRIORITY}")
    return number


#: Option, column, how its text is read.
SETTINGS = (
    ("note", "note", lambda text, _: read_note(text)),
    ("priority", "priority", lambda text, _: _priority(text)),
    ("pool", "pool", lambda text, _: read_name(text)),
    ("spend_per_day", "spend_per_day_nanousd", MONEY.read),
    ("spend_per_month", "spend_per_month_nanousd", MONEY.read),
    ("concurrent", "concurrent_requests", COUNT.read),
)
