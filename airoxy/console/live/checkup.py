"""The last findings of `airoxy doctor`, renewed in a thread of their own that no page waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

Examine = Callable[[], list[dict[str, Any]]]

log = logging.getLogger(__name__)

#: Age at which findings are renewed (seconds).
FRESH = 10.0
_BROKE_OFF = {
    "check": "doctor",
    "state": "fail",
    "text": "It broke off; the console's journal says more.",
    "remedy": None,
}


class Findings(NamedTuple):
    """The findings, their time (Unix time, None before the first), whether checks run now."""

    found: list[dict[str, Any]]
    at: float | None
    looking: bool


class Checkup:
    """Invariant: there is never more than one thread that runs the checks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = Findings([], None, looking=False)

    def look(self, examine: Examine, clock: Callable[[], float], fresh: float = FRESH) -> Findings:
        """The last findings at once; where they are older than `fresh`, `examine` renews them."""
        with self._lock:
            last = self._last
            is_old = last.at is None or not 0 <= clock() - last.at < fresh
            if is_old and not last.looking:
                self._last = last._replace(looking=True)
                threading.Thread(
                    target=self._run, args=(examine, clock), name="doctor", daemon=True
                ).start()
            return self._last

    def _run(self, examine: Examine, clock: Callable[[], float]) -> None:
        try:
            found = examine()
        except Exception:
            log.exception("The doctor broke off")
            found = [_BROKE_OFF]
        with self._lock:
            self._last = Findings(found, clock(), looking=False)
