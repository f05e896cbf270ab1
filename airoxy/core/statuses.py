"""How statuses of answers are typed: 429, 5xx, or several with commas."""

from __future__ import annotations

import re

from airoxy.errors import InvalidInput

_STATUS = re.compile(r"([1-5])(?:xx|([0-9]{2}))", re.ASCII)


def typed_statuses(text: str) -> tuple[int, ...]:
    """For each the first that is meant, and the one that follows the last, as a Filter has them.
    Raises InvalidInput."""
    found: list[int] = []
    for word in text.lower().split(","):
        status = _STATUS.fullmatch(word.strip())
        if not status:
            raise InvalidInput("A status looks like 429 or 5xx; commas stand between several.")
        first = int(status[1]) * 100 + int(status[2] or 0)
        found += [first, first + (1 if status[2] else 100)]
    return tuple(found)
