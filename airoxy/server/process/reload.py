"""A reload: the parent executes itself anew, with the same process id and all that it holds.

Invariant: nothing is given up before the new code has shown, in a dry run, that it can load itself
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

# The words of a handover are those of 1.0: either release may reload into the other.
ENVIRON = "AIROXY_HANDOVER"
_DRY_RUN = "rehearsal"
_MEMORY = "standing"
#: What a successor needs to know of a worker, beside its control socket.
_WORKER = ("pid", "heard", "born", "ready", "deaf", "streams", "leaving", "kill_at")
_SINCE_1_1 = ("orphan",)

#: Addresses that airoxy bound itself: hosts (none: all) and port.
Addresses = tuple[tuple[str, ...], int]


@dataclass
class ParentState:
    """What a parent holds, and its successor inherits. No `addresses`: the listeners are systemd's.
    `count` is how many workers there shall be; `old_layout` is the fingerprint of the predecessor's
    memory where it was another."""

    listeners: list[socket.socket]
    addresses: Addresses | None
    memory: SharedMemory
    count: int
    workers: dict[int, Worker] = field(default_factory=dict)
    old_layout: str | None = None

    def descriptors(self) -> list[int]:
        controls = [worker.control.fileno() for worker in self.workers.values()]
        return [*(each.fileno() for each in self.listeners), self.memory.fd, *controls]


def is_dry_run(environ: MutableMapping[str, str]) -> bool:
    return environ.get(ENVIRON) == _DRY_RUN


def dry_run() -> int:
    """The process id of a child that runs this command line as the reload would: exit status 0 if
    the new code and the configuration load, else what is wrong is on standard error."""
    environ = {**os.environ, ENVIRON: _DRY_RUN}
    return os.posix_spawn(sys.executable, _command(), environ, setsigmask=())


def execute(state: ParentState, *, unless: int) -> None:
    """Become the new code, which inherits `state`; or return because there is something to read in
    `unless`. Raises OSError."""
    # From here until the successor can react, signals wait.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    descriptors = state.descriptors()
    try:
        if select.select([unless], [], [], 0)[0]:
            return
        for fd in descriptors:
            os.set_inheritable(fd, True)
        os.execve(sys.executable, _command(), {**os.environ, ENVIRON: _written(state)})  # noqa: S606
    finally:
        for fd in descriptors:
            os.set_inheritable(fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def inherit(environ: MutableMapping[str, str], layout: Layout) -> ParentState | None:
    """What the predecessor has handed over, if there was one."""
    written = environ.pop(ENVIRON, None)
    if written is None:
        return None
    left = json.loads(written)
    kept = left["layout"] == layout.fingerprint
    state = ParentState(
        listeners=[socket.socket(fileno=fd) for fd in left["sockets"]],
        addresses=_addresses(left["addresses"]),
        memory=SharedMemory(layout, left[_MEMORY] if kept else None),
        count=left["count"],
        workers={each["pid"]: _worker(each) for each in left["workers"]},
        old_layout=None if kept else str(left["layout"]),
    )
    if not kept:
        os.close(left[_MEMORY])  # the old workers have it, and go on with it
    for fd in state.descriptors():
        os.set_inheritable(fd, False)
    return state


def _addresses(left: Sequence[object] | None) -> Addresses | None:
    if left is None:
        return None
    hosts, port = left
    return tuple(hosts), port  # type: ignore[arg-type, return-value]


def _worker(left: dict[str, object]) -> Worker:
    control = socket.socket(fileno=left["line"])  # type: ignore[arg-type]
    known = {name: left[name] for name in (*_WORKER, *_SINCE_1_1) if name in left}
    return Worker(control=control, **known)  # type: ignore[arg-type]


def _written(state: ParentState) -> str:
    workers = [
        {"line": worker.control.fileno(), **_kept(worker)} for worker in state.workers.values()
    ]
    return json.dumps(
        {
            "sockets": [each.fileno() for each in state.listeners],
            "addresses": state.addresses,
            _MEMORY: state.memory.fd,
            "layout": state.memory.layout.fingerprint,
            "count": state.count,
            "workers": workers,
        }
    )


def _kept(worker: Worker) -> dict[str, object]:
    return {name: getattr(worker, name) for name in (*_WORKER, *_SINCE_1_1)}


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
