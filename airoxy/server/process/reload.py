"""A reload: the parent executes itself anew, with the same process id and all that it holds.

The law: nothing is given up before the new code has shown, in a rehearsal, that it can load itself
and the configuration.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from airoxy.server.process.child import SIGNALS
from airoxy.server.process.workers import Worker
from airoxy.server.shared_memory import Layout, SharedMemory

ENVIRON = "AIROXY_HANDOVER"
_REHEARSAL = "rehearsal"
#: The shared memory's descriptor, as 1.0 calls it: either may reload into the other.
_MEMORY = "standing"
#: What a successor needs to know of a worker, beside its line.
_KEPT = ("pid", "heard", "born", "ready", "deaf", "streams", "leaving", "kill_at")

#: Addresses that airoxy bound itself: hosts (none: all) and port.
Addresses = tuple[tuple[str, ...], int]


@dataclass
class Inherited:
    """What a parent holds. No `addresses`: the sockets are systemd's. `count` is how many workers
    there shall be; `kept_memory` is false where the predecessor's had another layout."""

    sockets: list[socket.socket]
    addresses: Addresses | None
    memory: SharedMemory
    count: int
    kept_memory: bool = True
    workers: dict[int, Worker] = field(default_factory=dict)

    def descriptors(self) -> list[int]:
        lines = [worker.line.fileno() for worker in self.workers.values()]
        return [*(each.fileno() for each in self.sockets), self.memory.fd, *lines]


def is_dry_run(environ: MutableMapping[str, str]) -> bool:
    return environ.get(ENVIRON) == _REHEARSAL


def dry_run() -> int:
    """The process id of a child that runs this command line as the reload would: exit status 0 if
    the new code and the configuration load, else what is wrong is on standard error."""
    environ = {**os.environ, ENVIRON: _REHEARSAL}
    return os.posix_spawn(sys.executable, _command(), environ, setsigmask=())


def execute(inherited: Inherited, *, unless: int) -> None:
    """Become the new code, which finds all of `estate`; or return because there is something to
    read in `unless`. Raises OSError."""
    # From here until the successor can react, signals wait.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    descriptors = inherited.descriptors()
    try:
        if select.select([unless], [], [], 0)[0]:
            return
        for fd in descriptors:
            os.set_inheritable(fd, True)
        os.execve(sys.executable, _command(), {**os.environ, ENVIRON: _written(inherited)})  # noqa: S606
    finally:
        for fd in descriptors:
            os.set_inheritable(fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def inherit(environ: MutableMapping[str, str], layout: Layout) -> Inherited | None:
    """What the predecessor left, if there was one."""
    will = environ.pop(ENVIRON, None)
    if will is None:
        return None
    left = json.loads(will)
    kept = left["layout"] == layout.fingerprint
    inherited = Inherited(
        sockets=[socket.socket(fileno=fd) for fd in left["sockets"]],
        addresses=_addresses(left["addresses"]),
        memory=SharedMemory(layout, left[_MEMORY] if kept else None),
        count=left["count"],
        kept_memory=kept,
    )
    if not kept:
        os.close(left[_MEMORY])  # the old workers have it, and go on with it
    for state in left["workers"]:
        line = socket.socket(fileno=state["line"])
        inherited.workers[state["pid"]] = Worker(line=line, **{name: state[name] for name in _KEPT})
    for fd in inherited.descriptors():
        os.set_inheritable(fd, False)
    return inherited


def _addresses(left: Sequence[object] | None) -> Addresses | None:
    if left is None:
        return None
    hosts, port = left
    return tuple(hosts), port  # type: ignore[arg-type, return-value]


def _written(inherited: Inherited) -> str:
    workers = [
        {"line": worker.line.fileno(), **{name: getattr(worker, name) for name in _KEPT}}
        for worker in inherited.workers.values()
    ]
    return json.dumps(
        {
            "sockets": [each.fileno() for each in inherited.sockets],
            "addresses": inherited.addresses,
            _MEMORY: inherited.memory.fd,
            "layout": inherited.memory.layout.fingerprint,
            "count": inherited.count,
            "workers": workers,
        }
    )


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
