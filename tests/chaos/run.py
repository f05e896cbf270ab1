"""A run from its setup to its verdict: load, a fault after the other, and what was found."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.chaos.clients import Crowd
from tests.chaos.faults import Faults
from tests.chaos.promises import MARK, broken, grown, held
from tests.chaos.upstream import Anthropic
from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import Watched
from tests.reliability.load import wait

#: Shorter than usual, so that nothing waits for a minute (seconds).
TIMEOUTS = {"head": 5, "body": 3, "idle": 20, "linger": 3}


@contextlib.contextmanager
def own_disk(place: Path) -> Iterator[Path | None]:
    """A file system in memory, where one may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def chaos(directory: Path, seconds: float, seed: int) -> list[str]:
    """The promises that were broken in so many seconds."""
    clock = directory / "clock"
    clock.write_text("0")
    told = {"AIROXY_TEST_CLOCK": str(clock), "AIROXY_TEST_TIMEOUTS": json.dumps(TIMEOUTS)}
    with (
        mock.patch.dict(os.environ, told),
        own_disk(directory / "disk") as disk,
        FakeAnthropic(remember=100) as fake,
    ):
        database = str((disk or directory) / "airoxy.db")
        airoxy = Watched(
            directory / "airoxy", fake.url, database=database, workers=2,
            upstream={"read_timeout": 2, "connect_timeout": 2},
        )  # fmt: skip
        try:
            return _run(airoxy, fake, clock, disk, seconds, seed)
        finally:
            airoxy.kill()


def _run(
    airoxy: Watched, fake: FakeAnthropic, clock: Path, disk: Path | None, seconds: float, seed: int
) -> list[str]:
    for number in range(3):
        airoxy.token(f"sk-ant-api-{MARK}-{number}")
    key, anthropic, dice = airoxy.key(), Anthropic(fake), random.Random(seed)
    airoxy.start()
    faults = Faults(airoxy, fake, dice, clock, disk)
    with Crowd(airoxy, key, seed) as crowd:
        time.sleep(1)
        before = held(faults.workers())
        done = _disturb(faults, dice, seconds)
        wait(lambda: _whole(airoxy))
    now = _settled(faults, before)
    airoxy.stop()
    print(f"faults {dict(done)}\nclients {dict(crowd.outcomes)}\nheld {before}, at last {now}")
    found = grown(before, now) + broken(airoxy, anthropic, crowd, key)
    return found if crowd.whole else [*found, "nothing was answered"]


def _disturb(faults: Faults, dice: random.Random, seconds: float) -> Counter[str]:
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fault = dice.choice(faults.table)
        print(fault.__name__, flush=True)
        fault()
        done[fault.__name__] += 1
        time.sleep(0.3)
    return done


def _whole(airoxy: Watched) -> bool:
    """Well, and without a warning."""
    with contextlib.suppress(OSError):
        answer = airoxy.request("GET", "/health")
        return answer.status == 200 and "warning" not in answer.json()
    return False


def _settled(faults: Faults, before: dict[str, int]) -> dict[str, int]:
    """What is held when nobody asks any more; connections take a moment to close."""
    deadline = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError, IndexError):  # one of them left just then
            now = held(faults.workers())
            if not grown(before, now) or time.monotonic() > deadline:
                return now
        time.sleep(0.2)
