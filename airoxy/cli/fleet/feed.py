"""The requests of a fleet's other hosts, for commands that keep running: a thread asks each second,
so that its reader never waits for PostgreSQL."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from airoxy.errors import AiroxyError

if TYPE_CHECKING:
    from airoxy.fleet.overview.log import OthersLog

T = TypeVar("T")

#: How often PostgreSQL is asked, and how often it is tried while it cannot be reached (seconds).
_ASK, _TRY_AGAIN = 1.0, 2.0


class OthersFeed(Generic[T]):
    """Continues `log`, or opens a connection of its own. `tell` is called with the error when
    PostgreSQL can no longer be reached, and with None when it can again."""

    def __init__(
        self,
        connect: Callable[[], OthersLog],
        ask: Callable[[OthersLog], T],
        log: OthersLog | None,
        tell: Callable[[AiroxyError | None], object],
    ) -> None:
        self._connect, self._ask, self._log, self._tell = connect, ask, log, tell
        self._is_away = log is None
        self._marks: dict[str, int] | None = None
        self._answers: deque[tuple[T, dict[str, str]]] = deque()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="fleet", daemon=True).start()

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return bool(self._answers)

    def take(self) -> tuple[T, dict[str, str]]:
        """An answer, and the names of the hosts. Only where there is one."""
        return self._answers.popleft()

    def close(self) -> None:
        """Does not wait for the thread, since PostgreSQL may hang."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._turn(self._log or self._reconnected())
                pause = _ASK
            except AiroxyError as error:
                if not self._is_away:
                    self._tell(error)
                self._is_away, pause = True, _TRY_AGAIN
                if self._log:
                    self._log.close()
                    self._log = None
            self._closed.wait(pause)

    def _turn(self, log: OthersLog) -> None:
        answer = self._ask(log)
        self._marks = dict(log.marks)
        self._answers.append((answer, log.names))
        if self._is_away:
            self._is_away = False
            self._tell(None)

    def _reconnected(self) -> OthersLog:
        log = self._log = self._connect()
        if self._marks is not None:
            log.marks = self._marks
        return log
