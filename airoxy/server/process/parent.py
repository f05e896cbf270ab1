"""The parent: keeps its workers running, reloads without losing a connection, and stops.

The law: it does nothing that can block or fail for long, touches no request, and no worker's death
is its own. All waiting is in `_wait`, all that follows from an event in `_turn`.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airoxy.server.metrics.load import write_load
from airoxy.server.process import binding, reload
from airoxy.server.process.child import (
    LEAVE_LATER,
    LEAVE_NOW,
    LEAVE_SOON,
    SIGNALS,
    fate,
    went_as_told,
)
from airoxy.server.process.reload import Inherited
from airoxy.server.process.systemd import Notifier
from airoxy.server.process.workers import Limits, Worker, Workers

log = logging.getLogger(__name__)

#: What a worker does, on its line to the parent, with what the parent holds; its exit status.
Work = Callable[[socket.socket, Inherited], int]


class Parent:
    """`former` is the predecessor's estate in a reload: its workers go when the new ones are ready,
    and stay if those do not get ready."""

    def __init__(
        self,
        inherited: Inherited,
        work: Work,
        notifier: Notifier,
        watchdog: float | None,
        *,
        former: Inherited | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._inherited = inherited
        self._work = work
        self._notifier = notifier
        self._watchdog = watchdog or math.inf
        self._former = former
        self._limits = limits or Limits()
        self._workers = Workers(inherited.workers, self._limits)
        self._status = 0
        self._started = former is not None
        self._stopping = False
        self._reload_asked = False
        self._reload_done = False  # but for former workers that may still accept
        self._dry_run_child: int | None = None
        self._rehearsal_ends = math.inf
        self._rehearsed = False
        self._trouble = ""
        self._next_alive = 0.0 if watchdog else math.inf
        self._signals_in, self._signals_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Until the service has stopped: the exit status."""
        try:
            with self._handling_signals():
                self._turn(b"")
                while not (self._stopping and not self._workers.workers):
                    self._turn(self._wait())
        finally:
            binding.close(self._inherited.sockets)
            self._notifier.close()
            os.close(self._signals_in)
            os.close(self._signals_out)
        return self._status

    def resume(self, trouble: str) -> None:
        """The predecessor's workers go on as ours: the reload failed for this reason."""
        self._started = True
        self._fail(trouble)

    # Events

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        signal.set_wakeup_fd(self._signals_out, warn_on_full_buffer=False)
        before = {signum: signal.signal(signum, lambda *_: None) for signum in SIGNALS}
        # A predecessor left them blocked, so that none could get lost.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _wait(self) -> bytes:
        """The signals that came; empty also after a tick, or when a worker spoke."""
        poll = select.poll()
        poll.register(self._signals_in, select.POLLIN)
        for worker in self._workers.workers.values():
            if worker.speaks:
                poll.register(worker.line, select.POLLIN)
        poll.poll(min(self._limits.tick, self._watchdog) * 1000)
        try:
            return os.read(self._signals_in, 512)
        except BlockingIOError:
            return b""

    def _turn(self, signals: bytes) -> None:
        now = time.monotonic()
        self._workers.check(now)
        for signum in signals:
            self._obey(signum, now)
        self._reap(now)
        if not self._stopping:
            self._spawn(now)
            self._advance(now)
        self._report(now)

    def _obey(self, signum: int, now: float) -> None:
        if signum == signal.SIGHUP:
            self._reload_asked = True
        elif signum in (signal.SIGTERM, signal.SIGINT):
            if self._stopping:
                self._workers.dismiss(LEAVE_NOW, now + self._limits.break_off)
            else:
                self._stop(now)

    def _reap(self, now: float) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._dry_run_child:
                self._end_dry_run(status)
            elif worker := self._workers.reap(pid):
                self._on_exit(worker, status, now)

    # Workers

    def _spawn(self, now: float) -> None:
        pipe = (self._signals_in, self._signals_out)
        try:
            self._workers.spawn(
                self._inherited.count, self._employ, [*self._given_up(), *pipe], now
            )
        except OSError as error:
            log.warning("No worker can be started: %s.", error.strerror)
            self._workers.postpone(now, worked=False)
            if self._former:
                self._fail("there is no room for new workers")

    def _employ(self, line: socket.socket) -> int:
        self._notifier.close()
        return self._work(line, self._inherited)

    def _on_exit(self, worker: Worker, status: int, now: float) -> None:
        if self._stopping or worker.leaving:
            if not went_as_told(status):
                log.warning("Worker %d %s while leaving.", worker.pid, fate(status))
            return
        log.warning("Worker %d %s.", worker.pid, fate(status))
        if worker.former:
            return
        if self._former:
            self._fail(f"a new worker {fate(status)}")
        elif not self._started and os.WIFEXITED(status):
            # It said why it cannot start; whoever started the service should see it fail.
            self._status = os.WEXITSTATUS(status) or 1
            self._stop(now)
        else:
            self._workers.postpone(now, worked=worker.ready)

    # Start, reload, stop

    def _advance(self, now: float) -> None:
        """Go on to what the workers' state allows by now."""
        current = self._workers.current
        if len(current) == self._inherited.count and all(worker.ready for worker in current):
            if self._former:
                self._succeed(now)
            elif not self._started:
                self._started = True
                self._notifier.ready()
        if self._reload_done and all(worker.deaf for worker in self._workers.leaving):
            self._reload_done = False
            log.info("Reloaded.")
            self._notifier.ready()
        if self._dry_run_child and now >= self._rehearsal_ends:
            log.warning("The new code has not loaded within %g s.", self._limits.rehearsal)
            self._rehearsal_ends = math.inf
            os.kill(self._dry_run_child, signal.SIGKILL)
        if self._rehearsed:
            self._hand_over()
        busy = self._former or self._reload_done or self._dry_run_child or self._rehearsed
        if self._reload_asked and self._started and not busy:
            self._reload_asked = False
            self._dry_run(now)

    def _dry_run(self, now: float) -> None:
        self._notifier.reloading()
        try:
            self._dry_run_child = reload.dry_run()
            self._rehearsal_ends = now + self._limits.rehearsal
        except OSError as error:
            self._fail(f"Python cannot be executed: {error.strerror}")

    def _end_dry_run(self, status: int) -> None:
        self._dry_run_child, self._rehearsal_ends = None, math.inf
        if status == 0:
            self._rehearsed = True
        elif not self._stopping:
            self._fail("the new configuration or code does not load")

    def _hand_over(self) -> None:
        """Become the new code; or come back at once, because signals have come that it would never
        hear of, and try again in the next turn."""
        try:
            reload.execute(self._inherited, unless=self._signals_in)
        except OSError as error:
            self._rehearsed = False
            self._fail(f"Python cannot be executed: {error.strerror}")

    def _succeed(self, now: float) -> None:
        """The new workers accept, so the former need not; from here there is no way back."""
        binding.close(self._given_up())
        self._former = None
        for worker in self._workers.workers.values():
            if worker.former:
                worker.former = False
                worker.leave(LEAVE_LATER, now + self._limits.retire)
        self._trouble = ""
        self._reload_done = True

    def _fail(self, why: str) -> None:
        """Everything goes on as before the reload; workers of the new code leave."""
        self._trouble = f"; the last reload failed: {why}"
        log.warning("Not reloaded, everything goes on as before: %s.", why)
        if self._former:
            for worker in self._workers.current:
                worker.leave(LEAVE_SOON, time.monotonic() + self._limits.break_off)
            for worker in self._workers.workers.values():
                worker.former = False
            former, self._former = self._former, None
            binding.close([each for each in self._inherited.sockets if each not in former.sockets])
            self._inherited.sockets = former.sockets
            self._inherited.addresses, self._inherited.count = former.addresses, former.count
        self._notifier.ready()

    def _given_up(self) -> list[socket.socket]:
        """Where nobody shall listen any more once the reload has succeeded."""
        former = self._former.sockets if self._former else []
        return [each for each in former if each not in self._inherited.sockets]

    def _stop(self, now: float) -> None:
        self._stopping = True
        self._notifier.stopping()
        # Whoever comes now is refused at once, or waits in systemd's socket for the next start.
        binding.close([*self._inherited.sockets, *self._given_up()])
        if self._dry_run_child:
            os.kill(self._dry_run_child, signal.SIGKILL)
        self._workers.dismiss(LEAVE_SOON, now + self._limits.stop)

    def _report(self, now: float) -> None:
        """Tell the workers and systemd how it goes; not that all is well while a worker hangs."""
        write_load(self._inherited.memory, self._workers.load)
        self._notifier.status(self._workers.figures(self._inherited.count) + self._trouble)
        if now >= self._next_alive and not self._workers.hanging:
            self._next_alive = now + self._watchdog
            self._notifier.alive()
