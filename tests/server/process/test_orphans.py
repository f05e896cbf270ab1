from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from airoxy.server.process.memory import LAYOUT
from airoxy.server.process.orphans import control_name, take_over


class Orphans:
    """Ends of the control sockets of workers whose parent was killed, and what systemd has."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}
        self._ends: list[socket.socket] = []

    def add(self, pid: int, *said: bytes) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stored[control_name(pid)] = ours.detach()
        self._ends.append(theirs)
        for words in said:
            theirs.send(words)

    def close(self) -> None:
        for each in (*self._ends, *self.stored.values()):
            os.close(each) if isinstance(each, int) else each.close()


@pytest.fixture
def orphans() -> Iterator[Orphans]:
    with contextlib.closing(Orphans()) as orphans:
        yield orphans


@pytest.mark.parametrize("serving", [0, 1, 2])
def test_a_worker_that_leaves_is_not_among_those_that_there_shall_be(
    orphans: Orphans, listener: socket.socket, serving: int
) -> None:
    orphans.add(7, b"beat 1 0 0", b"deaf")
    for pid in range(8, 8 + serving):
        orphans.add(pid, b"beat 0 0 0")
    state = take_over(orphans.stored, [listener], LAYOUT)
    assert state
    assert state.count == max(1, serving)
    assert [pid for pid, worker in state.workers.items() if worker.leaving] == [7]
    for worker in state.workers.values():
        worker.control.close()
    state.memory.close()
