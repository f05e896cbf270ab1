"""The parent: keeps `count` workers running, reloads without losing a connection, and stops.

The law: it does nothing that can block or fail for long, touches no request, and no worker's death
is its own. All waiting is in `_wait`, all that follows from an event in `_turn`.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from airoxy.server import handover, listening
from airoxy.server.child import (
    LEAVE_LATER,
    LEAVE_NOW,
    LEAVE_SOON,
    SIGNALS,
    Worker,
    fate,
    fork,
)
from airoxy.server.handover import Estate
from airoxy.server.systemd import WARNING, Notifier, say


@dataclass(frozen=True)
class Limits:
    """Seconds. A worker's own limits for leaving (`airoxy.server.worker`) are a little shorter."""

    start: float = 60.0  # from the fork to `ready`
    silence: float = 20.0  # of a worker that should beat
    mercy: float = 5.0  # from SIGABRT to SIGKILL
    break_off: float = 15.0  # breaking off what runs, and writing the account of it
    stop: float = 85.0  # systemd's TimeoutStopSec is 90
    retire: float = 3660.0  # an answer of an hour is the longest that a reload waits for
    flush: float = 30.0  # writing out the account
    rehearsal: float = 30.0
    steady: float = 10.0  # who lived that long did not die of its start
    longest_pause: float = 30.0  # between two workers that die of their start
    tick: float = 1.0  # how late any of these may be noticed


#: The exit statuses of who leaves when told, by itself or by the signal before it could.
_AS_TOLD = (0, -LEAVE_SOON, -LEAVE_LATER, -LEAVE_NOW)

#: What a worker does, on its line to the parent, with what the parent holds; its exit status.
Work = Callable[[socket.socket, Estate], int]


class Parent:
    """`former` is the predecessor's estate in a reload: its workers go when the new ones are ready,
    and stay if those do not get ready."""

    def __init__(
        self,
        estate: Estate,
        work: Work,
        notifier: Notifier,
        watchdog: float | None,
        *,
        former: Estate | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._estate = estate
        self._crew = estate.workers
        self._work = work
        self._notifier = notifier
        self._watchdog = watchdog
        self._former = former
        self._limits = limits or Limits()
        self._status = 0
        self._started = False
        self._stopping = False
        self._reload_asked = False
        self._reload_done = False  # but for former workers that may still accept
        self._rehearsal: int | None = None
        self._rehearsal_ends = math.inf
        self._trouble = ""
        self._strikes = 0
        self._recruit_at = 0.0
        self._next_alive = 0.0
        self._awake_at = math.inf
        self._signals_in, self._signals_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Until the service has stopped: the exit status."""
        try:
            with self._handling_signals():
                while not (self._stopping and not self._crew):
                    self._turn(self._wait())
        finally:
            listening.close(self._estate.sockets)
            self._notifier.close()
            os.close(self._signals_in)
            os.close(self._signals_out)
        return self._status

    def resume(self, trouble: str) -> None:
        """The predecessor's workers go on as ours: the reload failed for this reason."""
        self._started = True
        self._reload_failed(trouble)

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
        for worker in self._crew.values():
            if worker.open:
                poll.register(worker.line, select.POLLIN)
        poll.poll(min(self._limits.tick, self._watchdog or math.inf) * 1000)
        try:
            return os.read(self._signals_in, 512)
        except BlockingIOError:
            return b""

    def _turn(self, signals: bytes) -> None:
        now = time.monotonic()
        self._forgive_lost_time(now)
        for worker in self._crew.values():
            if worker.open:
                worker.listen(now, self._limits.flush)
        self._bury(now)
        for signum in signals:
            self._obey(signum, now)
        self._enforce(now)
        if not self._stopping:
            self._recruit(now)
            self._advance(now)
        self._report(now)

    def _obey(self, signum: int, now: float) -> None:
        if signum == signal.SIGHUP:
            self._reload_asked = True
        elif signum in (signal.SIGTERM, signal.SIGINT):
            if self._stopping:
                self._dismiss(LEAVE_NOW, now + self._limits.break_off)
            else:
                self._stop(now)

    # Workers

    def _recruit(self, now: float) -> None:
        if now < self._recruit_at:
            return
        for _ in range(self._estate.count - len(self._current())):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            own: list[socket.socket | int] = [
                self._signals_in,
                self._signals_out,
                ours,
                *self._not_for_workers(),
            ]
            pid = fork(partial(self._work, theirs, self._estate), own)
            theirs.close()
            self._crew[pid] = Worker(pid, ours, heard=now, born=now)

    def _not_for_workers(self) -> list[socket.socket]:
        # A line that somebody else held open too would not end with us.
        return [*(worker.line for worker in self._crew.values()), *self._given_up()]

    def _given_up(self) -> list[socket.socket]:
        """Where we shall not listen any more once the reload has succeeded."""
        former = self._former.sockets if self._former else []
        return [each for each in former if each not in self._estate.sockets]

    def _current(self) -> list[Worker]:
        return [each for each in self._crew.values() if not (each.former or each.leaving)]

    def _bury(self, now: float) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._rehearsal:
                self._rehearsed(status)
            elif worker := self._crew.pop(pid, None):
                worker.line.close()
                self._lost(worker, status, now)

    def _lost(self, worker: Worker, status: int, now: float) -> None:
        if self._stopping or worker.leaving:
            if os.waitstatus_to_exitcode(status) not in _AS_TOLD:
                say(f"Worker {worker.pid} {fate(status)} while leaving.", WARNING)
            return
        say(f"Worker {worker.pid} {fate(status)}.", WARNING)
        if worker.former:
            return
        if self._former:
            self._reload_failed(f"a new worker {fate(status)}")
        elif not self._started and os.WIFEXITED(status):
            # It said why it cannot start; whoever started the service should see it fail.
            self._status = os.WEXITSTATUS(status) or 1
            self._stop(now)
        else:
            self._recruit_at = now + self._pause(now - worker.born)

    def _pause(self, lived: float) -> float:
        """Who worked for a while is replaced at once; who dies of its start, ever later."""
        self._strikes = 0 if lived >= self._limits.steady else self._strikes + 1
        if self._strikes < 2:
            return 0.0
        return min(0.5 * 2.0 ** min(self._strikes - 2, 20), self._limits.longest_pause)

    def _enforce(self, now: float) -> None:
        """Nobody outstays, and nobody hangs."""
        if now >= self._rehearsal_ends and self._rehearsal:
            say(f"The new code has not loaded within {self._limits.rehearsal:g} s.", WARNING)
            self._rehearsal_ends = math.inf
            os.kill(self._rehearsal, signal.SIGKILL)
        for worker in self._crew.values():
            if now >= worker.kill_at:
                worker.kill_at = math.inf
                worker.signal(signal.SIGKILL)
            elif not worker.condemned and now - worker.heard > self._patience(worker):
                say(f"Worker {worker.pid} hangs; it is killed.", WARNING)
                worker.condemned = True
                worker.kill_at = now + self._limits.mercy
                worker.signal(signal.SIGABRT)  # it says where it hung

    def _patience(self, worker: Worker) -> float:
        return self._limits.silence if worker.ready else self._limits.start

    def _forgive_lost_time(self, now: float) -> None:
        """After the whole service was stopped for a while (SIGSTOP, a paused machine) all workers
        look silent, but the parent slept too."""
        if now - self._awake_at > self._limits.tick + self._limits.silence / 2:
            for worker in self._crew.values():
                worker.heard = max(worker.heard, now)
        self._awake_at = now

    def _dismiss(self, how: signal.Signals, kill_at: float) -> None:
        for worker in self._crew.values():
            worker.leave(how, kill_at)

    # Start, reload, stop

    def _advance(self, now: float) -> None:
        current = self._current()
        if len(current) == self._estate.count and all(worker.ready for worker in current):
            if self._former:
                self._succeed(now)
            elif not self._started:
                self._started = True
                self._notifier.ready()
        if self._reload_done and all(each.deaf for each in self._crew.values() if each.leaving):
            self._reload_done = False
            say("Reloaded.")
            self._notifier.ready()
        busy = self._former or self._reload_done or self._rehearsal or not self._started
        if self._reload_asked and not busy:
            self._reload_asked = False
            self._reload(now)

    def _reload(self, now: float) -> None:
        self._notifier.reloading()
        try:
            self._rehearsal = handover.rehearse()
            self._rehearsal_ends = now + self._limits.rehearsal
        except OSError as error:
            self._reload_failed(f"{error.filename or 'Python'}: {error.strerror}")

    def _rehearsed(self, status: int) -> None:
        self._rehearsal, self._rehearsal_ends = None, math.inf
        if self._stopping:
            return
        if status:
            self._reload_failed("the new configuration or code does not load")
            return
        try:
            handover.execute(self._estate)
        except OSError as error:
            self._reload_failed(f"{error.filename or 'Python'}: {error.strerror}")

    def _succeed(self, now: float) -> None:
        """The new workers accept, so the former need not; from here there is no way back."""
        listening.close(self._given_up())
        self._former = None
        for worker in self._crew.values():
            if worker.former:
                worker.former = False
                worker.leave(LEAVE_LATER, now + self._limits.retire)
        self._trouble = ""
        self._started = self._reload_done = True

    def _reload_failed(self, why: str) -> None:
        """Everything goes on as before; workers of the new code leave."""
        self._trouble = f"the last reload failed: {why}"
        say(f"Not reloaded, everything goes on as before: {why}.", WARNING)
        if self._former:
            for worker in self._current():
                worker.leave(LEAVE_SOON, time.monotonic() + self._limits.break_off)
            for worker in self._crew.values():
                worker.former = False
            former, self._former = self._former, None
            listening.close([each for each in self._estate.sockets if each not in former.sockets])
            self._estate.sockets = former.sockets
            self._estate.addresses, self._estate.count = former.addresses, former.count
        self._notifier.ready()

    def _stop(self, now: float) -> None:
        self._stopping = True
        self._notifier.stopping()
        # Whoever comes now is refused at once, or waits in systemd's socket for the next start.
        listening.close(self._estate.sockets)
        if self._former:
            listening.close(self._former.sockets)
        if self._rehearsal:
            os.kill(self._rehearsal, signal.SIGKILL)
        self._dismiss(LEAVE_SOON, now + self._limits.stop)

    # What systemd is told

    def _report(self, now: float) -> None:
        self._notifier.status(self._figures())
        hanging = any(worker.condemned for worker in self._crew.values())
        if self._watchdog and now >= self._next_alive and not hanging:
            self._next_alive = now + self._watchdog
            self._notifier.alive()

    def _figures(self) -> str:
        ready = [worker for worker in self._current() if worker.ready]
        leaving = [worker for worker in self._crew.values() if worker.leaving]
        texts = [f"{len(ready)} of {self._estate.count} workers, {_streams(ready)}"]
        if leaving:
            texts.append(f"{len(leaving)} leaving with {_streams(leaving)}")
        if self._trouble:
            texts.append(self._trouble)
        return "; ".join(texts)


def _streams(workers: list[Worker]) -> str:
    total = sum(worker.streams for worker in workers)
    return f"{total} open {'stream' if total == 1 else 'streams'}"
