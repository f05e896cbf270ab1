"""Workers whose parent was killed: what systemd has kept of them for the next parent.

The parent stores the shared memory and the control sockets of its workers with systemd. So its
workers keep running when it is killed, and the parent that systemd starts next takes them over as
in a reload.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

from airoxy.server.process.reload import ParentState
from airoxy.server.process.workers import Worker, WorkerTimeouts
from airoxy.server.shared_memory import Layout, SharedMemory

log = logging.getLogger(__name__)

_MEMORY, _CONTROL = "memory-", "worker-"


def memory_name(layout: str) -> str:
    """The stored name of a memory whose layout has this fingerprint."""
    return _MEMORY + layout


def control_name(pid: int) -> str:
    return f"{_CONTROL}{pid}"


def take_memory(stored: MutableMapping[str, int], layout: Layout) -> SharedMemory:
    """The memory that was stored, if it is laid out as ours; else a new one."""
    return SharedMemory(layout, stored.pop(memory_name(layout.fingerprint), None))


def take_over(
    stored: MutableMapping[str, int], listeners: list[socket.socket], layout: Layout
) -> ParentState | None:
    """The state of the parent that was killed, if any of its workers live. Other descriptors in
    `stored` are closed, except those of memory."""
    workers: dict[int, Worker] = {}
    for name in [each for each in stored if not each.startswith(_MEMORY) or not listeners]:
        fd = stored.pop(name)
        if listeners and name.startswith(_CONTROL) and _is_connected(fd):
            pid = int(name.removeprefix(_CONTROL))
            workers[pid] = _orphan(pid, socket.socket(fileno=fd))
        else:
            os.close(fd)
    if not workers:
        return None
    listed = ", ".join(map(str, sorted(workers)))
    log.warning("The parent was killed; its workers (%s) are taken over.", listed)
    memory = take_memory(stored, layout)
    serving = [each for each in workers.values() if not each.leaving]
    return ParentState(listeners, None, memory, len(serving) or 1, workers)


def _orphan(pid: int, control: socket.socket) -> Worker:
    """As far as it has told since its parent was killed: with each beat whether it leaves."""
    control.setblocking(False)
    now = time.monotonic()
    worker = Worker(pid, control, born=now, heard=now, stored=True, orphan=True)
    worker.read_control(now, WorkerTimeouts())
    return worker


def _is_connected(fd: int) -> bool:
    """Whether the worker at the other end lives."""
    control = socket.socket(fileno=fd)
    try:
        return control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        control.detach()
