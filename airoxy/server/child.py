"""The parent's children: how they are forked, and what is known of a worker.

The law: what a worker and its parent tell each other holds between releases, since a reload puts a
new parent over old workers. A worker says `ready`, `beat STREAMS`, `deaf` (it accepts no more) and
`bye` on its line, one packet each, and leaves when the line ends; the parent sends the three
signals below.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

#: Finish what is running, soon: the service stops.
LEAVE_SOON = signal.SIGTERM
#: Finish what is running, at leisure: a successor accepts already.
LEAVE_LATER = signal.SIGUSR1
#: Break off what is running.
LEAVE_NOW = signal.SIGUSR2

#: What the parent reacts to; blocked where nobody could.
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
#: The parent's affair: they reach the workers too, from a terminal or `systemctl kill`.
_NOT_FOR_WORKERS = (signal.SIGHUP, signal.SIGINT)


@dataclass
class Worker:
    """One server process. Times are of the monotonic clock, which outlasts an exec."""

    pid: int
    line: socket.socket
    heard: float  # when it last said something, or was born
    ready: bool = False
    deaf: bool = False
    streams: int = 0
    former: bool = False  # of before the reload that is under way
    leaving: bool = False
    condemned: bool = False  # hangs, and was told to say where
    kill_at: float = math.inf
    born: float = 0.0
    open: bool = True  # the line

    def leave(self, how: signal.Signals, kill_at: float) -> None:
        self.leaving = True
        self.kill_at = min(self.kill_at, kill_at)
        self.signal(how)

    def signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def listen(self, now: float, flush_limit: float) -> None:
        """Take in all that it has said since the last time."""
        try:
            while words := self.line.recv(64).split():
                self.heard = now
                if words[0] == b"ready":
                    self.ready = True
                elif words[0] == b"beat":
                    self.streams = int(words[1])
                elif words[0] == b"deaf":
                    self.deaf = True
                elif words[0] == b"bye":  # it writes its account to the end, and cannot beat
                    self.heard = math.inf
                    self.kill_at = min(self.kill_at, now + flush_limit)
            self.open = False
        except BlockingIOError:
            pass
        except OSError:
            self.open = False


def fork(work: Callable[[], int], closing: Iterable[socket.socket | int]) -> int:
    """The process id of a child that holds none of `closing` and exits with what `work` returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run(work, closing)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _run(work: Callable[[], int], closing: Iterable[socket.socket | int]) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for signum in SIGNALS:
            ignored = signum in _NOT_FOR_WORKERS
            signal.signal(signum, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for each in closing:
            os.close(each) if isinstance(each, int) else each.close()
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: the parent's cleaning up is the parent's.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def fate(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with status {code}"
    return f"was killed by {signal.Signals(-code).name}"
