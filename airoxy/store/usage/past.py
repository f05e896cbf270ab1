"""What was spent on days that are over, kept for some minutes: there may be millions of sums.

Invariant: today is never among it. What was spent in the past changes only where costs are
computed anew, which is seen after `KEPT`.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from typing import Any

#: For how long it is kept (seconds).
KEPT = 300.0


class Past:
    """Asked from several threads; of those that ask for the same at once, one reads it."""

    def __init__(self, kept: float = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept, self._clock = kept, clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, datetime.date], tuple[float, Any]] = {}

    def of(self, what: str, today: datetime.date, read: Callable[[], Any]) -> Any:
        """What `read` says, or has said not long ago of the days before `today`."""
        with self._lock:
            known = self._known.get((what, today))
            if known is None or self._clock() - known[0] >= self._kept:
                self._known = {
                    each: found for each, found in self._known.items() if each[1] == today
                }
                known = self._known[what, today] = self._clock(), read()
            return known[1]
