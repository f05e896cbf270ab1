"""The parent: keeps its workers running, reloads without losing a connection, and stops.

Invariant: it does nothing that can block or fail for long, touches no request, and outlives the
death of every worker. It waits in `_wait` only; whatever happens is dealt with in `_step`.
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

from airoxy.server import unwritten
from airoxy.server.metrics.load import write_load
from airoxy.server.process import binding, orphans, reload
from airoxy.server.process.child import (
    LEAVE_LATER,
    LEAVE_NOW,
    LEAVE_SOON,
    SIGNALS,
    ended_as_told,
    how_it_ended,
)
from airoxy.server.process.reload import ParentState
from airoxy.server.process.systemd import Notifier
from airoxy.server.process.workers import Worker, Workers, WorkerTimeouts

log = logging.getLogger(__name__)

#: What a worker does, given its control socket and what the parent holds; its exit status.
Work = Callable[[socket.socket, ParentState], int]


class Parent:
    """`predecessor` is what is inherited in a reload: its workers are told to leave when the new
    ones are ready, and stay if those do not get ready."""

    def __init__(
        self,
        state: ParentState,
        work: Work,
        notifier: Notifier,
        watchdog: float | None,
        *,
        predecessor: ParentState | None = None,
        timeouts: WorkerTimeouts | None = None,
    ) -> None:
        self._state = state
        self._work = work
        self._notifier = notifier
        self._watchdog = watchdog or math.inf
        self._predecessor = predecessor
        self._timeouts = timeouts or WorkerTimeouts()
        self._workers = Workers(state.workers, self._timeouts)
        self._status = 0
        self._started = predecessor is not None
        self._stopping = False
        self._last_started = False
        self._reload_asked = False
        self._reload_done = False  # but for old workers that may still accept
        self._dry_run_child: int | None = None
        self._dry_run_deadline = math.inf
        self._dry_run_passed = False
        self._failure = ""
        self._next_alive = 0.0 if watchdog else math.inf
        self._signals_in, self._signals_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self, *, failure: str = "") -> int:
        """Until the service has stopped: the exit status. After a `failure` of the reload, its
        reason, it goes on with the predecessor's workers."""
        try:
            with self._handling_signals():
                self._store_memory()
                if failure:
                    # Not before signals are handled: READY invites the next reload.
                    self._started = True
                    self._fail(failure)
                self._step(b"")
                while not self._stopping or self._workers.workers or self._dry_run_child:
                    self._step(self._wait())
            self._give_up_memory()
        finally:
            binding.close(self._state.listeners)
            self._notifier.close()
            os.close(self._signals_in)
            os.close(self._signals_out)
        return self._status

    # Events

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        signal.set_wakeup_fd(self._signals_out, warn_on_full_buffer=False)
        for signum in SIGNALS:
            signal.signal(signum, lambda *_: None)
        # A predecessor has blocked them, so that none could get lost.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        try:
            yield
        finally:
            # Whoever asks once more for the end that has come does not change the exit status.
            for signum in SIGNALS:
                signal.signal(signum, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)

    def _wait(self) -> bytes:
        """The signals that came; empty also after a tick, or when a worker has sent something."""
        poll = select.poll()
        poll.register(self._signals_in, select.POLLIN)
        for worker in self._workers.workers.values():
            if worker.connected:
                poll.register(worker.control, select.POLLIN)
        poll.poll(min(self._timeouts.tick, self._watchdog) * 1000)
        try:
            return os.read(self._signals_in, 512)
        except BlockingIOError:
            return b""

    def _step(self, signals: bytes) -> None:
        now = time.monotonic()
        self._workers.check(now)
        for signum in signals:
            self._on_signal(signum, now)
        self._reap(now)
        self._reap_orphans()
        if not self._stopping:
            self._spawn(now)
            self._advance(now)
        elif not self._workers.workers and not self._last_started:
            self._last_started = True
            self._write_what_is_left(now)
        self._report(now)

    def _on_signal(self, signum: int, now: float) -> None:
        if signum == signal.SIGHUP:
            self._reload_asked = True
        elif signum in (signal.SIGTERM, signal.SIGINT):
            if not self._stopping:
                self._stop(now)
            elif not self._last_started:  # which breaks nothing off
                self._workers.dismiss(LEAVE_NOW, now + self._timeouts.break_off)

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

    def _reap_orphans(self) -> None:
        """Of workers that are no children the control socket says that they have ended."""
        for worker in self._workers.ended_orphans:
            self._workers.reap(worker.pid)
            log.info("Worker %d, whose parent was killed, has ended.", worker.pid)

    # Workers

    def _spawn(self, now: float) -> None:
        pipe = (self._signals_in, self._signals_out)
        try:
            self._workers.spawn(
                self._state.count, self._run_worker, [*self._abandoned_listeners(), *pipe], now
            )
        except OSError as error:
            log.warning("No worker can be started: %s.", error.strerror)
            self._workers.postpone(now, worked=False)
            if self._predecessor:
                self._fail("there is no room for new workers")
        self._store_workers()

    def _store_memory(self) -> None:
        if self._state.addresses is not None:
            return  # systemd has not passed our listeners, and does not start a next parent
        if self._state.old_layout:
            self._notifier.unstore(orphans.memory_name(self._state.old_layout))
        memory = self._state.memory
        self._notifier.store(orphans.memory_name(memory.layout.fingerprint), memory.fd)

    def _store_workers(self) -> None:
        if self._state.addresses is not None:
            return
        for worker in self._workers.workers.values():
            if not worker.stored:
                worker.stored = True
                self._notifier.store(orphans.control_name(worker.pid), worker.control.fileno())

    def _run_worker(self, control: socket.socket) -> int:
        self._notifier.close()
        return self._work(control, self._state)

    def _on_exit(self, worker: Worker, status: int, now: float) -> None:
        if self._stopping or worker.leaving:
            if not ended_as_told(status):
                log.warning("Worker %d %s while leaving.", worker.pid, how_it_ended(status))
            return
        log.warning("Worker %d %s.", worker.pid, how_it_ended(status))
        if worker.old or worker.suspect:
            return
        if self._predecessor:
            self._fail(f"a new worker {how_it_ended(status)}")
        elif not self._started and os.WIFEXITED(status):
            # It has logged why it cannot start; whoever started the service should see it fail.
            self._status = os.WEXITSTATUS(status) or 1
            self._stop(now)
        else:
            self._workers.postpone(now, worked=worker.ready)

    # Start, reload, stop

    def _advance(self, now: float) -> None:
        """Go on to what the workers' state allows by now."""
        current = self._workers.current
        if len(current) == self._state.count and all(worker.ready for worker in current):
            if self._predecessor:
                self._succeed(now)
            elif not self._started:
                self._started = True
                self._notifier.ready()
        if self._reload_done and all(worker.deaf for worker in self._workers.leaving):
            self._reload_done = False
            log.info("Reloaded.")
            self._notifier.ready()
        self._advance_dry_run(now)

    def _advance_dry_run(self, now: float) -> None:
        if self._dry_run_child and now >= self._dry_run_deadline:
            log.warning("The new code has not loaded within %g s.", self._timeouts.dry_run)
            self._dry_run_deadline = math.inf
            os.kill(self._dry_run_child, signal.SIGKILL)
        if self._dry_run_passed:
            self._hand_over()
        reloading = self._predecessor or self._reload_done
        busy = reloading or self._dry_run_child or self._dry_run_passed
        if self._reload_asked and self._started and not busy:
            self._reload_asked = False
            self._begin_dry_run(now)

    def _begin_dry_run(self, now: float) -> None:
        self._notifier.reloading()
        try:
            self._dry_run_child = reload.dry_run()
            self._dry_run_deadline = now + self._timeouts.dry_run
        except OSError as error:
            self._fail(f"Python cannot be executed: {error.strerror}")

    def _end_dry_run(self, status: int) -> None:
        self._dry_run_child, self._dry_run_deadline = None, math.inf
        if status == 0:
            self._dry_run_passed = True
        elif not self._stopping:
            self._fail("the new configuration or code does not load")

    def _hand_over(self) -> None:
        """Become the new code; or come back at once, because signals have come that it would never
        hear of, and try again in the next step."""
        try:
            reload.execute(self._state, unless=self._signals_in)
        except OSError as error:
            self._dry_run_passed = False
            self._fail(f"Python cannot be executed: {error.strerror}")

    def _succeed(self, now: float) -> None:
        """The new workers accept, so the old ones need not; from here there is no way back."""
        binding.close(self._abandoned_listeners())
        self._predecessor = None
        for worker in self._workers.workers.values():
            if worker.old:
                worker.old = False
                worker.leave(LEAVE_LATER, now + self._timeouts.retire)
        self._failure = ""
        self._reload_done = True

    def _fail(self, why: str) -> None:
        """Everything goes on as before the reload; workers of the new code leave."""
        self._failure = f"; the last reload failed: {why}"
        log.warning("Not reloaded, everything goes on as before: %s.", why)
        if self._predecessor:
            self._return_to(self._predecessor)
            self._predecessor = None
        self._notifier.ready()

    def _return_to(self, predecessor: ParentState) -> None:
        for worker in self._workers.current:
            worker.leave(LEAVE_SOON, time.monotonic() + self._timeouts.break_off)
        for worker in self._workers.workers.values():
            worker.old = False
        state, kept = self._state, predecessor.listeners
        binding.close([each for each in state.listeners if each not in kept])
        state.listeners = kept
        state.addresses, state.count = predecessor.addresses, predecessor.count

    def _abandoned_listeners(self) -> list[socket.socket]:
        """Where nobody shall listen any more once the reload has succeeded."""
        before = self._predecessor.listeners if self._predecessor else []
        return [each for each in before if each not in self._state.listeners]

    def _stop(self, now: float) -> None:
        self._stopping = True
        self._notifier.stopping()
        # A client that comes now is refused at once, or waits in systemd's socket.
        binding.close([*self._state.listeners, *self._abandoned_listeners()])
        self._state.listeners = []
        if self._dry_run_child:
            os.kill(self._dry_run_child, signal.SIGKILL)
        self._workers.dismiss(LEAVE_SOON, now + self._timeouts.stop)

    def _write_what_is_left(self, now: float) -> None:
        """Rows of workers that were killed, which the memory has and nobody else writes any more: a
        successor that was still starting has obeyed the signal to leave at once."""
        if unwritten.count_left(self._state.memory):
            try:
                pipe = (self._signals_in, self._signals_out)
                last = self._workers.start(self._run_worker, pipe, now)
                last.leaving, last.kill_at = True, now + self._timeouts.flush
            except OSError as error:
                log.warning("No worker can be started: %s.", error.strerror)

    def _give_up_memory(self) -> None:
        """Not where it still has rows: they are written if systemd starts the service again."""
        if rows := unwritten.count_left(self._state.memory):
            stored = self._state.addresses is None
            unless = ", unless systemd starts the service again" if stored else ""
            log.error("%d log rows are lost%s.", rows, unless)
        else:
            memory = self._state.memory
            self._notifier.unstore(orphans.memory_name(memory.layout.fingerprint))

    def _report(self, now: float) -> None:
        """Tell the workers and systemd how it goes; not that all is well while a worker hangs."""
        write_load(self._state.memory, self._workers.load)
        self._notifier.status(self._workers.figures(self._state.count) + self._failure)
        if now >= self._next_alive and not self._workers.hanging:
            self._next_alive = now + self._watchdog
            self._notifier.alive()
