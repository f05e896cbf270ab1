from __future__ import annotations

import os
import socket

from airoxy.server.process.workers import Worker, WorkerTimeouts


def test_a_worker_that_is_told_again_to_leave_may_still_write_its_last_rows() -> None:
    timeouts = WorkerTimeouts(silence=20, flush=30)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        worker = Worker(os.getpid(), ours, born=0, heard=0, ready=True, orphan=True)
        for words in (b"deaf", b"bye", b"deaf"):
            theirs.send(words)
        worker.read_control(100, timeouts)
        worker.connected = False  # so that no signal is sent
        worker.enforce_timeouts(125, timeouts)
        assert not worker.unresponsive
        assert worker.kill_at == 130
