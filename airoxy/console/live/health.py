"""What the server says of itself, asked for again and again while somebody watches."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from airoxy.console.visit import AskHealth

Health = tuple[int | None, Mapping[str, Any]]


class HealthWatch:
    """Asks in a thread of its own, which nobody waits for: a server may be silent for seconds."""

    def __init__(self, ask_health: AskHealth, pace: float) -> None:
        self.health: Health | None = None
        self._ask_health = ask_health
        self._pace = pace
        self._watched, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Somebody watches."""
        self._watched.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="health", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Nobody watches any more; what was said grows old."""
        self._watched.clear()
        self.health = None

    def close(self) -> None:
        self._closed.set()
        self._watched.set()

    def _run(self) -> None:
        while self._watched.wait() and not self._closed.is_set():
            self.health = self._ask_health()
            self._closed.wait(self._pace)
