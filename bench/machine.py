"""Processes under measurement: on which core they run, what CPU and memory they use.

Invariant: CPU time is taken from the scheduler's own count (nanoseconds), for all threads of all
processes of a server, so that it holds whatever else the machine is doing.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: The proxy has a core for itself; load and upstream share the other.
CORES = sorted(os.sched_getaffinity(0))
LOAD, PROXY = {CORES[0]}, {CORES[-1]}


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """What is started inside runs on `cores` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def put_on_a_par(pid: int) -> None:
    """Linux may group processes by session and share the CPU among the groups: what has a session
    of its own gets the same weight as the rest of what is measured."""
    ours, its = Path("/proc/self/autogroup"), Path(f"/proc/{pid}/autogroup")
    if ours.exists():
        with suppress(OSError):  # more than the usual weight takes privileges
            its.write_text(ours.read_text().split()[-1])


def put_first(pid: int) -> None:
    """All threads of a process and its descendants get 28 times the usual share of their core. Else
    the times of programs that share one are those of the kernel's turns, which are milliseconds. It
    takes root; without it the figures say more about the machine."""
    for one in tree(pid):
        with suppress(OSError):
            Path(f"/proc/{one}/autogroup").write_text("-15")
        for task in Path(f"/proc/{one}/task").iterdir():
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(task.name), -15)


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in tree(int(child)))]


def cpu_ns(pid: int) -> int:
    """CPU time of the process and its descendants so far."""
    tasks = (task for one in tree(pid) for task in Path(f"/proc/{one}/task").glob("*/schedstat"))
    return sum(int(task.read_text().split()[0]) for task in tasks)


def memory(pid: int) -> float:
    """Resident memory of the largest process of the tree, in MiB: the worker's."""
    return max(_resident(one) for one in tree(pid))


def _resident(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def description() -> str:
    """The machine in a sentence."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", info)
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert total
    return (
        f"{model[1] if model else platform.machine()}, {len(CORES)} cores, "
        f"{int(total[1]) / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def version(*command: str) -> str:
    """The first number with dots in what a command says of itself."""
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"
