"""Questions to PostgreSQL from a process that must not wait for it: a thread with a connection."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import Any, TypeVar

from airoxy.errors import AiroxyError
from airoxy.fleet.postgres import FleetError, Postgres
from airoxy.store.fleet.membership import Membership

T = TypeVar("T")

#: How long an answer is waited for, and for how long a PostgreSQL that could not be reached is not
#: tried again (seconds).
PATIENCE, PAUSE = 2.0, 3.0

_Job = tuple["Future[Any]", Membership, Callable[[Postgres], Any]]


class PatientLine:
    """One question after the other. Nobody waits longer than `patience` for an answer, and nobody
    at all behind a question that is late already."""

    def __init__(
        self, connect: Callable[[Membership], Postgres], patience: float = PATIENCE
    ) -> None:
        self._connect, self._patience = connect, patience
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._postgres: tuple[tuple[str, str], Postgres] | None = None
        #: When the question that is being answered was begun, and when and why the last one failed.
        self._begun: float | None = None
        self._failed: tuple[float, str] | None = None

    def ask(self, member: Membership, question: Callable[[Postgres], T]) -> T:
        """Raises FleetError. The answer to a question that is late is waited for by nobody, but
        what it does is done."""
        now = time.monotonic()
        begun, failed = self._begun, self._failed
        if begun is not None and now - begun >= self._patience:
            raise self._late()
        if failed is not None and now - failed[0] < PAUSE:
            raise FleetError(failed[1])
        answer: Future[T] = Future()
        self._start()
        self._jobs.put((answer, member, question))
        try:
            return answer.result(self._patience)
        except TooLate:
            answer.cancel()  # unless it has begun
            raise self._late() from None

    def close(self) -> None:
        """It is not waited for: PostgreSQL may hang."""
        self._jobs.put(None)

    def _late(self) -> FleetError:
        return FleetError(
            f"The fleet's PostgreSQL has not answered within {self._patience:g} seconds; it is"
            " still being asked, so try again in a moment."
        )

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            answer, member, question = job
            if not answer.set_running_or_notify_cancel():
                continue
            self._begun = time.monotonic()
            try:
                found = question(self._connection(member))
            except BaseException as error:
                self._hang_up()
                if isinstance(error, AiroxyError):
                    self._failed = time.monotonic(), error.message
                self._begun = None
                answer.set_exception(error)
            else:
                self._begun = self._failed = None
                answer.set_result(found)
        self._hang_up()

    def _connection(self, member: Membership) -> Postgres:
        """The host may have left, and joined another fleet."""
        whose = member.host, member.url
        if self._postgres is None or self._postgres[0] != whose:
            self._hang_up()
            self._postgres = whose, self._connect(member)
        return self._postgres[1]

    def _hang_up(self) -> None:
        if self._postgres is not None:
            self._postgres[1].close()
            self._postgres = None
