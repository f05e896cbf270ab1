"""Children of the parent: how they are forked, the signals they obey, how they end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn

log = logging.getLogger(__name__)

#: Finish what is running, soon: the service stops.
LEAVE_SOON = signal.SIGTERM
#: Finish what is running, without haste: new workers accept connections already.
LEAVE_LATER = signal.SIGUSR1
#: Break off what is running.
LEAVE_NOW = signal.SIGUSR2

#: What the parent reacts to; blocked while it cannot.
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
#: These are for the parent; from a terminal or `systemctl kill` they reach the workers too.
_NOT_FOR_CHILDREN = (signal.SIGHUP, signal.SIGINT)


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
            ignored = signum in _NOT_FOR_CHILDREN
            signal.signal(signum, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for each in closing:
            os.close(each) if isinstance(each, int) else each.close()
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.exception("This process has failed.")
    finally:
        # Not sys.exit: what the parent has registered to be cleaned up is still in use.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def ended_as_told(status: int) -> bool:
    """Whether a wait status is that of a worker that left, or was ended by a signal to leave before
    it could handle it."""
    return -os.waitstatus_to_exitcode(status) in (0, LEAVE_SOON, LEAVE_LATER, LEAVE_NOW)


def how_it_ended(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with status {code}"
    return f"was killed by {signal.Signals(-code).name}"
