"""What happens to processes and machine, one thing after the other; each puts right what it did."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import Watched
from tests.reliability.load import opened, wait
from tests.reliability.raw import Client
from tests.reliability.test_machine_faults import change


class Faults:
    """The table of faults; `disk` is a file system of the database's own, None without one."""

    def __init__(
        self, airoxy: Watched, fake: FakeAnthropic, dice: random.Random, clock: Path,
        disk: Path | None,
    ) -> None:  # fmt: skip
        self._airoxy, self._fake, self._dice = airoxy, fake, dice
        self._clock, self._disk = clock, disk
        self.table: list[Callable[[], None]] = [
            self.kill_worker, self.kill_parent, self.reload, self.restart, self.turn_clock,
            self.hold_lock, self.move_database, self.take_descriptors, self.lose_upstream,
        ]  # fmt: skip
        if disk:
            self.table += [self.fill_disk, self.read_only]

    def workers(self) -> list[int]:
        assert self._airoxy.process
        pid = self._airoxy.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill_worker(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._dice.choice(self.workers()), signal.SIGKILL)
        self._pause()

    def kill_parent(self) -> None:
        workers = self.workers()
        assert self._airoxy.process
        self._airoxy.process.kill()
        self._airoxy.process.wait()
        self._airoxy.process = None
        wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 40)
        self._airoxy.start()

    def reload(self) -> None:
        assert self._airoxy.process
        self._airoxy.process.send_signal(signal.SIGHUP)
        self._pause()

    def restart(self) -> None:
        self._airoxy.stop()
        self._airoxy.start()

    def turn_clock(self) -> None:
        change(self._clock, self._dice.choice((-3600, 3600)))
        self._pause()
        change(self._clock, 0)
        # What was cooled meanwhile may stay so for an hour.
        for row in self._airoxy.json("token", "list"):
            self._airoxy.cli("token", "reset", row["name"])

    def hold_lock(self) -> None:
        with contextlib.closing(opened(self._airoxy.database)) as holder:
            holder.cursor().execute("BEGIN EXCLUSIVE")
            self._pause()
            holder.cursor().execute("ROLLBACK")

    def move_database(self) -> None:
        elsewhere = self._airoxy.database.with_name("elsewhere.db")
        self._airoxy.database.rename(elsewhere)
        self._pause()
        elsewhere.rename(self._airoxy.database)

    def take_descriptors(self) -> None:
        pid = max(self.workers())  # not one that is about to leave
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (60, usual[1]))
        with contextlib.ExitStack() as crowd:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    crowd.enter_context(Client(self._airoxy))
            self._pause()
        with contextlib.suppress(ProcessLookupError):  # it was one that a reload had replaced
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

    def lose_upstream(self) -> None:
        self._fake.refuse()
        self._pause()
        self._fake.listen()

    def fill_disk(self) -> None:
        assert self._disk
        disk = self._disk
        wait(lambda: self._shrink(disk))
        self._pause()
        remount(self._disk, "size=1g")

    def _shrink(self, disk: Path) -> bool:
        """To what is used; False where that has grown meanwhile."""
        used = os.statvfs(disk)
        size = (used.f_blocks - used.f_bfree) * used.f_frsize
        command = ["mount", "-o", f"remount,size={size}", str(disk)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def read_only(self) -> None:
        """Nothing that is open for writing can become read-only: it is met at the start."""
        assert self._disk
        self._airoxy.stop()
        remount(self._disk, "ro")
        refused = self._airoxy.run("serve")
        remount(self._disk, "rw")
        assert refused.returncode == 1, refused
        assert "Traceback" not in refused.stderr, refused
        self._airoxy.start()

    def _pause(self) -> None:
        time.sleep(self._dice.uniform(0.2, 2))


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)
