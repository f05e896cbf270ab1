"""What was spent on days that are over, by the hosts that are meant."""

from __future__ import annotations

import threading

from airoxy.store.usage.past import Past

#: So many hosts are looked at one by one before the first is forgotten.
_MOST = 8


class Pasts:
    """A Past of each host's, and of all hosts (None), as long as their sums are the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str | None, tuple[int, Past]] = {}

    def of(self, host: str | None, version: int) -> Past:
        """What is kept of sums of this version."""
        with self._lock:
            known = self._known.pop(host, None)
            if known is None or known[0] != version:
                known = version, Past()
            self._known[host] = known
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            return known[1]
