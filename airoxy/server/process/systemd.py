"""Between systemd and its service: descriptors that are passed in, notifications that are sent out.

Where systemd has not started the process, none of this does anything.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest

from sdnotify import SystemdNotifier

#: The first descriptor of socket activation, sd_listen_fds(3).
FIRST_FD = 3
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def is_service(environ: Mapping[str, str]) -> bool:
    """Whether systemd itself started this process; all its descendants inherit the rest, such as
    NOTIFY_SOCKET and INVOCATION_ID, so that a shell in a service looks like one."""
    return environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


@dataclass
class Passed:
    """What systemd passed to this process: listening sockets, and by their names the descriptors
    that a service before us has stored (`Notifier.store`)."""

    listeners: list[socket.socket] = field(default_factory=list)
    stored: dict[str, int] = field(default_factory=dict)


def passed_descriptors(environ: MutableMapping[str, str]) -> Passed:
    """`environ` loses the variables about them, so that no child takes them for its own."""
    pid, count, names, *_ = (environ.pop(name, "") for name in _LISTEN)
    passed = Passed()
    if pid != str(os.getpid()) or not count.isdigit():
        return passed
    for fd, name in zip_longest(range(FIRST_FD, FIRST_FD + int(count)), names.split(":")):
        if fd is None:
            break
        os.set_inheritable(fd, False)
        if _listens(fd):
            passed.listeners.append(socket.socket(fileno=fd))
        else:
            passed.stored[name or str(fd)] = fd
    return passed


def _listens(fd: int) -> bool:
    try:
        sock = socket.socket(fileno=fd)
    except OSError:  # no socket
        return False
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    finally:
        sock.detach()


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear from us (seconds), if it does: half of its patience."""
    patience = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(patience) / 2e6 if meant and patience.isdigit() and int(patience) else None


class Notifier:
    """Sends notifications to systemd, where there is a NOTIFY_SOCKET (sd_notify(3))."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._systemd = SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        self._status = ""

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        """`ready` ends it, whatever came of the reload."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows; ASCII."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def store(self, name: str, fd: int) -> None:
        """Keep the descriptor for the process that systemd starts if this one is killed. It drops a
        socket whose other end is closed by itself."""
        if self._systemd and self._systemd.socket:
            with suppress(OSError):
                message = f"FDSTORE=1\nFDNAME={name}".encode()
                socket.send_fds(self._systemd.socket, [message], [fd])

    def unstore(self, name: str) -> None:
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def close(self) -> None:
        if self._systemd and self._systemd.socket:
            self._systemd.socket.close()

    def _send(self, state: str) -> None:
        if self._systemd:
            self._systemd.notify(state)
