"""The workers as their parent sees them: started, watched, and killed if they hang.

Invariant: the messages between worker and parent mean the same in every release, because a reload
puts a new parent over old workers. On its control socket a worker sends, one packet each, `ready`,
`beat STREAMS CONNECTIONS WAITING` (a Load; other releases may send fewer or more figures), `deaf`
(it accepts no more connections) and `bye` (it only writes its log rows). It leaves when the control
socket is closed. The parent sends the signals of `airoxy.server.process.child`.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from airoxy.server.metrics.load import Load
from airoxy.server.process.child import LEAVE_LATER, fork

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerTimeouts:
    """Seconds. A worker's own deadlines for leaving (`process.worker`) are a little shorter."""

    start: float = 60.0  # from the fork to `ready`
    suspicion: float = 3.0  # without a beat: a substitute is started
    silence: float = 20.0  # without a beat: it is killed
    kill_grace: float = 5.0  # from SIGABRT to SIGKILL
    break_off: float = 15.0  # to break off what runs and write its log rows
    stop: float = 85.0  # systemd's TimeoutStopSec is 90
    retire: float = 3660.0  # a reload waits for answers of up to an hour
    flush: float = 30.0  # to write the last log rows
    dry_run: float = 30.0  # to load the new code and the configuration
    longest_pause: float = 30.0  # between two workers that fail to start
    tick: float = 1.0  # how late any of these may be noticed


@dataclass
class Worker:
    """One server process. Times are of the monotonic clock, which outlasts an exec."""

    pid: int
    control: socket.socket
    born: float
    heard: float  # when it last sent something, or was born
    ready: bool = False
    deaf: bool = False  # it accepts no more connections
    streams: int = 0
    connections: int = 0
    waiting: int = 0
    old: bool = False  # of before the reload that is under way
    leaving: bool = False
    suspect: bool = False  # silent for so long that a substitute was started
    unresponsive: bool = False  # it hangs, and was told to abort
    kill_at: float = math.inf
    connected: bool = True  # its end of the control socket is open
    stored: bool = False  # systemd has its control socket, too
    orphan: bool = False  # started by a parent that was killed: no child of ours

    def leave(self, how: signal.Signals, kill_at: float) -> None:
        self.leaving = True
        self.kill_at = min(self.kill_at, kill_at)
        self.signal(how)

    def signal(self, signum: signal.Signals) -> None:
        if self.orphan and not self.connected:
            return  # the process id may be another's by now
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def read_control(self, now: float, timeouts: WorkerTimeouts) -> None:
        """Take in all that it has sent since the last time."""
        try:
            while words := self.control.recv(64).split():
                self._take_in(words, now, timeouts)
            self.connected = False
        except BlockingIOError:
            pass
        except OSError:
            self.connected = False

    def _take_in(self, words: list[bytes], now: float, timeouts: WorkerTimeouts) -> None:
        self.heard = max(self.heard, now)  # after `bye` it needs not be heard
        match words[0]:
            case b"ready":
                self.ready = True
            case b"beat":
                self.ready = True  # an orphan has said so to another parent
                load = Load(*map(int, words[1 : 1 + len(Load._fields)]))
                self.streams, self.connections, self.waiting = load
            case b"deaf":
                self.deaf = self.leaving = True  # perhaps somebody else told it to leave
            case b"bye":
                self.heard = math.inf  # it does not beat any more
                self.kill_at = min(self.kill_at, now + timeouts.flush)

    def enforce_timeouts(self, now: float, timeouts: WorkerTimeouts) -> None:
        """Kill it if its time is over; abort it if it is silent, so that it logs where it hangs."""
        patience = timeouts.silence if self.ready else timeouts.start
        if now >= self.kill_at:
            self.kill_at = math.inf
            self.signal(signal.SIGKILL)
        elif not self.unresponsive and now - self.heard > patience:
            log.warning("Worker %d hangs; it is killed.", self.pid)
            self.unresponsive = True
            self.kill_at = now + timeouts.kill_grace
            self.signal(signal.SIGABRT)


class Workers:
    """`workers` are by process id."""

    def __init__(self, workers: dict[int, Worker], timeouts: WorkerTimeouts) -> None:
        self.workers = workers
        self._timeouts = timeouts
        self._failed_starts = 0
        self._spawn_at = 0.0
        self._checked_at = math.inf

    @property
    def current(self) -> list[Worker]:
        """Those that are meant to stay, and are not suspected to hang."""
        return [
            each for each in self.workers.values() if not (each.old or each.leaving or each.suspect)
        ]

    @property
    def leaving(self) -> list[Worker]:
        return [each for each in self.workers.values() if each.leaving]

    @property
    def hanging(self) -> bool:
        return any(each.unresponsive for each in self.workers.values())

    def spawn(
        self,
        count: int,
        work: Callable[[socket.socket], int],
        closing: Iterable[socket.socket | int],
        now: float,
    ) -> None:
        """Start workers up to `count`, unless the last ones have just failed to start. `work` gets
        the worker's end of the control socket; a worker closes `closing`. Raises OSError."""
        while now >= self._spawn_at and len(self.current) < count:
            self.start(work, closing, now)

    def start(
        self,
        work: Callable[[socket.socket], int],
        closing: Iterable[socket.socket | int],
        now: float,
    ) -> Worker:
        """Start one more, as `spawn` does."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # With a copy of it in another worker, a control socket would outlive the parent.
        controls = [each.control for each in self.workers.values()]
        with theirs:
            try:
                pid = fork(partial(work, theirs), [*closing, *controls, ours])
            except OSError:
                ours.close()
                raise
        worker = self.workers[pid] = Worker(pid, ours, born=now, heard=now)
        return worker

    def postpone(self, now: float, *, worked: bool) -> None:
        """A worker that worked is replaced at once, however often; one that fails to start after
        a pause that doubles."""
        self._failed_starts = 0 if worked else self._failed_starts + 1
        if self._failed_starts > 1:
            pause = 0.5 * 2.0 ** min(self._failed_starts - 2, 20)
            self._spawn_at = now + min(pause, self._timeouts.longest_pause)

    def check(self, now: float) -> None:
        """Read what the workers send, and look after those that send nothing."""
        for worker in self.workers.values():
            if worker.connected:
                worker.read_control(now, self._timeouts)
        if now - self._checked_at > self._timeouts.tick + self._timeouts.silence / 2:
            # The whole service was stopped (SIGSTOP, a paused machine): all have been silent.
            for worker in self.workers.values():
                worker.heard = max(worker.heard, now)
        self._checked_at = now
        for worker in self.workers.values():
            worker.enforce_timeouts(now, self._timeouts)
            self._suspect(worker, now)

    def _suspect(self, worker: Worker, now: float) -> None:
        """New connections must not wait until it is certain that a worker hangs. If it was only
        slow, it leaves its place to the substitute."""
        if not worker.ready or worker.leaving or worker.old:
            return
        silent = now - worker.heard > self._timeouts.suspicion
        if silent and not worker.suspect:
            log.warning("Worker %d is silent; another one is started.", worker.pid)
            worker.suspect = True
        elif worker.suspect and not silent:
            log.info("Worker %d is no longer silent; it leaves.", worker.pid)
            worker.leave(LEAVE_LATER, now + self._timeouts.retire)

    @property
    def ended_orphans(self) -> list[Worker]:
        return [each for each in self.workers.values() if each.orphan and not each.connected]

    def reap(self, pid: int) -> Worker | None:
        """Forget the worker that has ended, if it was one of ours."""
        worker = self.workers.pop(pid, None)
        if worker:
            worker.control.close()
        return worker

    def dismiss(self, how: signal.Signals, kill_at: float) -> None:
        for worker in self.workers.values():
            worker.leave(how, kill_at)

    @property
    def load(self) -> Load:
        """What all workers are at, as of their last beats."""
        workers = self.workers.values()
        return Load(
            streams=sum(worker.streams for worker in workers),
            connections=sum(worker.connections for worker in workers),
            waiting=sum(worker.waiting for worker in workers),
        )

    def figures(self, count: int) -> str:
        """What `systemctl status` shows of them."""
        ready = [each for each in self.current if each.ready]
        text = f"{len(ready)} of {count} workers, {_streams(ready)}"
        if self.leaving:
            text += f"; {len(self.leaving)} leaving with {_streams(self.leaving)}"
        return text


def _streams(workers: list[Worker]) -> str:
    total = sum(worker.streams for worker in workers)
    return f"{total} open {'stream' if total == 1 else 'streams'}"
