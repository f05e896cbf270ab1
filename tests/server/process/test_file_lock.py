"""Locks between the workers, whose threads have different ones at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from airoxy.server.pool.token_state import FileLock
from tests.program import ROOT

#: Has the second turn, asks for the first, and tells of each step.
_OTHER = """
import sys
from airoxy.server.standing import Turn
fd = int(sys.argv[1])
with Turn(fd, 1):
    print("has one", flush=True)
    sys.stdin.readline()
    print("asks", flush=True)
    with Turn(fd, 0):
        print("has both", flush=True)
"""


def _waits_for_a_lock(pid: int) -> bool:
    with open("/proc/locks") as locks:
        return any("->" in line and f" {pid} " in line for line in locks)


def test_what_looks_like_a_circle_of_processes_is_waited_out():
    fd = os.memfd_create("test")
    os.ftruncate(fd, 2)
    taken = threading.Event()

    def take() -> None:
        with FileLock(fd, 1):
            taken.set()

    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(fd)], cwd=ROOT, pass_fds=[fd], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with other:
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "has one\n"
        with FileLock(fd, 0):
            thread = threading.Thread(target=take)
            thread.start()
            deadline = time.monotonic() + 20
            while not _waits_for_a_lock(os.getpid()):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "asks\n"
            time.sleep(0.2)  # it is refused within microseconds, if it is
        told, errors = other.communicate(timeout=20)
    assert (told, errors) == ("has both\n", "")
    assert taken.wait(20)
    thread.join()
    os.close(fd)
