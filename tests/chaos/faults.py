"""What happens to processes and machine: conditions that last a while, and events within them.

Invariant: what was done is put right again, by whatever did it.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import Watched
from tests.reliability.load import opened, wait, worker
from tests.reliability.raw import Client
from tests.reliability.test_machine_faults import change

#: After these there is nobody any more who has the log rows that could not be written, and whoever
#: starts needs the database.
_STARTS = ("kill_parent", "restart", "read_only")
#: What does not happen at the same time.
APART = [
    {condition, event}
    for condition in ("moved_database", "held_lock", "full_disk")
    for event in _STARTS
] + [{"moved_database", "held_lock"}]


class Faults:
    """The tables of conditions and events; `disk` is a file system of the database's own, None
    without one."""

    def __init__(
        self, airoxy: Watched, fake: FakeAnthropic, dice: random.Random, clock: Path,
        disk: Path | None,
    ) -> None:  # fmt: skip
        self._airoxy, self._fake, self._dice = airoxy, fake, dice
        self._clock, self._disk = clock, disk
        self.conditions: list[Callable[[], AbstractContextManager[None]]] = [
            self.wrong_clock, self.held_lock, self.moved_database, self.few_descriptors,
            self.lost_upstream,
        ]  # fmt: skip
        self.events: list[Callable[[], None]] = [
            self.kill_worker, self.kill_parent, self.reload, self.restart, self.pause,
        ]  # fmt: skip
        if disk:
            self.conditions.append(self.full_disk)
            self.events.append(self.read_only)

    def workers(self) -> list[int]:
        assert self._airoxy.process
        pid = self._airoxy.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def pause(self) -> None:
        time.sleep(self._dice.uniform(0.2, 2))

    # Events

    def kill_worker(self) -> None:
        with contextlib.suppress(ProcessLookupError, IndexError):  # there may be none just now
            os.kill(self._dice.choice(self.workers()), signal.SIGKILL)
        self.pause()

    def kill_parent(self) -> None:
        workers = self.workers()
        assert self._airoxy.process
        self._airoxy.process.kill()
        self._airoxy.process.wait()
        self._airoxy.process = None
        wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 40)
        self._start()

    def reload(self) -> None:
        assert self._airoxy.process
        self._airoxy.process.send_signal(signal.SIGHUP)
        self.pause()

    def restart(self) -> None:
        self._airoxy.stop()
        self._start()

    def read_only(self) -> None:
        """Nothing that is open for writing can become read-only: it is met at the start."""
        assert self._disk
        self._airoxy.stop()
        remount(self._disk, "ro")
        refused = self._airoxy.run("serve")
        remount(self._disk, "rw")
        assert refused.returncode == 1, refused
        assert "Traceback" not in refused.stderr, refused
        self._start()

    def _start(self) -> None:
        """And until all workers serve: the service fails where one cannot when it starts."""
        self._airoxy.start()
        ready: set[int] = set()

        def whole() -> bool:
            ready.add(worker(self._airoxy))
            return ready >= set(self.workers())

        wait(whole, 40)

    # Conditions

    @contextlib.contextmanager
    def wrong_clock(self) -> Iterator[None]:
        change(self._clock, self._dice.choice((-3600, 3600)))
        yield
        change(self._clock, 0)

    @contextlib.contextmanager
    def held_lock(self) -> Iterator[None]:
        with contextlib.closing(opened(self._airoxy.database)) as holder:
            holder.cursor().execute("BEGIN EXCLUSIVE")
            yield
            holder.cursor().execute("ROLLBACK")

    @contextlib.contextmanager
    def moved_database(self) -> Iterator[None]:
        elsewhere = self._airoxy.database.with_name("elsewhere.db")
        self._airoxy.database.rename(elsewhere)
        yield
        elsewhere.rename(self._airoxy.database)

    @contextlib.contextmanager
    def few_descriptors(self) -> Iterator[None]:
        pid = max(self.workers())  # not one that is about to leave
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (60, usual[1]))
        with contextlib.ExitStack() as crowd:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    crowd.enter_context(Client(self._airoxy))
            yield
        with contextlib.suppress(ProcessLookupError):  # it was replaced meanwhile
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

    @contextlib.contextmanager
    def lost_upstream(self) -> Iterator[None]:
        self._fake.refuse()
        yield
        self._fake.listen()

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        assert self._disk
        disk = self._disk
        wait(lambda: _shrink(disk))
        yield
        remount(disk, "size=1g")


def _shrink(disk: Path) -> bool:
    """To what is used; False where that has grown meanwhile."""
    used = os.statvfs(disk)
    size = (used.f_blocks - used.f_bfree) * used.f_frsize
    command = ["mount", "-o", f"remount,size={size}", str(disk)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)
