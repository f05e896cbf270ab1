"""The crew: the workers of a parent, as it sees them, and what happens to those that hang or die.

The law: what a worker and its parent tell each other holds between releases, since a reload puts a
new parent over old workers. A worker says `ready`, `beat STREAMS CONNECTIONS WAITING` (a Load;
other releases may say less or more), `deaf` (it accepts no more) and `bye` (it writes its account
to the end) on its line, one packet each, and leaves when the line ends; the parent sends the
signals of `airoxy.server.process.child`.
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
from airoxy.server.process.child import fork

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Seconds. A worker's own limits for leaving (`process.worker`) are a little shorter."""

    start: float = 60.0  # from the fork to `ready`
    silence: float = 20.0  # of a worker that should beat
    kill_grace: float = 5.0  # from SIGABRT to SIGKILL
    break_off: float = 15.0  # breaking off what runs, and writing the account of it
    stop: float = 85.0  # systemd's TimeoutStopSec is 90
    retire: float = 3660.0  # an answer of an hour is the longest that a reload waits for
    flush: float = 30.0  # writing out the account
    rehearsal: float = 30.0
    longest_pause: float = 30.0  # between two workers that die of their start
    tick: float = 1.0  # how late any of these may be noticed


@dataclass
class Worker:
    """One server process. Times are of the monotonic clock, which outlasts an exec."""

    pid: int
    line: socket.socket
    born: float
    heard: float  # when it last said something, or was born
    ready: bool = False
    deaf: bool = False
    streams: int = 0
    connections: int = 0
    waiting: int = 0
    former: bool = False  # of before the reload that is under way
    leaving: bool = False
    unresponsive: bool = False  # hangs, and was told to say where
    kill_at: float = math.inf
    speaks: bool = True  # its end of the line is open

    def leave(self, how: signal.Signals, kill_at: float) -> None:
        self.leaving = True
        self.kill_at = min(self.kill_at, kill_at)
        self.signal(how)

    def signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def listen(self, now: float, limits: Limits) -> None:
        """Take in all that it has said since the last time."""
        try:
            while words := self.line.recv(64).split():
                self.heard = now
                if words[0] == b"ready":
                    self.ready = True
                elif words[0] == b"beat":
                    load = Load(*map(int, words[1 : 1 + len(Load._fields)]))
                    self.streams, self.connections, self.waiting = load
                elif words[0] == b"deaf":
                    self.deaf = self.leaving = True  # perhaps somebody else told it to
                elif words[0] == b"bye":
                    self.heard = math.inf  # it cannot beat any more
                    self.kill_at = min(self.kill_at, now + limits.flush)
            self.speaks = False
        except BlockingIOError:
            pass
        except OSError:
            self.speaks = False

    def keep_in_check(self, now: float, limits: Limits) -> None:
        """Nobody outstays, and nobody hangs."""
        patience = limits.silence if self.ready else limits.start
        if now >= self.kill_at:
            self.kill_at = math.inf
            self.signal(signal.SIGKILL)
        elif not self.unresponsive and now - self.heard > patience:
            log.warning("Worker %d hangs; it is killed.", self.pid)
            self.unresponsive = True
            self.kill_at = now + limits.kill_grace
            self.signal(signal.SIGABRT)  # it says where it hung


class Workers:
    """`workers` are by process id."""

    def __init__(self, workers: dict[int, Worker], limits: Limits) -> None:
        self.workers = workers
        self._limits = limits
        self._strikes = 0
        self._recruit_at = 0.0
        self._checked_at = math.inf

    @property
    def current(self) -> list[Worker]:
        """Those that are meant to stay."""
        return [each for each in self.workers.values() if not (each.former or each.leaving)]

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
        """Fill the crew up to `count`, unless the last ones died of their start just now. A recruit
        works on its line and holds none of `closing`. Raises OSError."""
        while now >= self._recruit_at and len(self.current) < count:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            # A line that a colleague held open too would not end with the parent.
            lines = [each.line for each in self.workers.values()]
            with theirs:
                try:
                    pid = fork(partial(work, theirs), [*closing, *lines, ours])
                except OSError:
                    ours.close()
                    raise
            self.workers[pid] = Worker(pid, ours, born=now, heard=now)

    def postpone(self, now: float, *, worked: bool) -> None:
        """Who worked is replaced at once, however often; who dies of its start, ever later."""
        self._strikes = 0 if worked else self._strikes + 1
        if self._strikes > 1:
            pause = 0.5 * 2.0 ** min(self._strikes - 2, 20)
            self._recruit_at = now + min(pause, self._limits.longest_pause)

    def check(self, now: float) -> None:
        """Hear what the workers say, and look after those that say nothing."""
        for worker in self.workers.values():
            if worker.speaks:
                worker.listen(now, self._limits)
        if now - self._checked_at > self._limits.tick + self._limits.silence / 2:
            # The whole service was stopped (SIGSTOP, a paused machine): all have been silent.
            for worker in self.workers.values():
                worker.heard = max(worker.heard, now)
        self._checked_at = now
        for worker in self.workers.values():
            worker.keep_in_check(now, self._limits)

    def reap(self, pid: int) -> Worker | None:
        """Forget the dead worker, if it was one of ours."""
        worker = self.workers.pop(pid, None)
        if worker:
            worker.line.close()
        return worker

    def dismiss(self, how: signal.Signals, kill_at: float) -> None:
        for worker in self.workers.values():
            worker.leave(how, kill_at)

    @property
    def load(self) -> Load:
        """What all workers are at, as of their last signs of life."""
        workers = self.workers.values()
        return Load(
            streams=sum(worker.streams for worker in workers),
            connections=sum(worker.connections for worker in workers),
            waiting=sum(worker.waiting for worker in workers),
        )

    def figures(self, count: int) -> str:
        """What an operator wants to see at a glance."""
        ready = [each for each in self.current if each.ready]
        text = f"{len(ready)} of {count} workers, {_streams(ready)}"
        if self.leaving:
            text += f"; {len(self.leaving)} leaving with {_streams(self.leaving)}"
        return text


def _streams(workers: list[Worker]) -> str:
    total = sum(worker.streams for worker in workers)
    return f"{total} open {'stream' if total == 1 else 'streams'}"
