"""A run from its setup to its verdict: load, faults that overlap, and what was found."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar
from unittest import mock

from tests.chaos.clients import Crowd
from tests.chaos.faults import APART, Faults
from tests.chaos.front import front
from tests.chaos.promises import MARK, broken, grown, held
from tests.chaos.upstream import Anthropic
from tests.fake_anthropic import FakeAnthropic
from tests.reliability.conftest import Watched

T = TypeVar("T")
#: Until it must be well again after the last fault (seconds).
PATIENCE = 40
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
    for name in ("one", "two", "three"):
        airoxy.token(f"sk-ant-api-{MARK}-{name}", name=name)
    for name in ("four", "five"):
        airoxy.token(f"sk-ant-oat-{MARK}-{name}", f"sk-ant-ort-{MARK}-{name}", name=name)
    key, anthropic, dice = airoxy.key(), Anthropic(fake), random.Random(seed)
    airoxy.start()
    faults = Faults(airoxy, fake, dice, clock, disk)
    with (
        front(clock.with_name("front"), airoxy.port) as nginx,
        Crowd(airoxy, key, seed, nginx) as crowd,
    ):
        time.sleep(1)
        before = held(faults.workers())
        done = _disturb(airoxy, faults, dice, seconds)
        unwell = _unwell(airoxy)
    now = _settled(faults, before)
    airoxy.stop()
    print(f"faults {dict(done)}\nclients {dict(crowd.outcomes)}\nheld {before}, at last {now}")
    found = unwell + grown(before, now) + broken(airoxy, anthropic, crowd, key)
    if not crowd.whole:
        found.append("nothing was answered")
    if found:
        print(airoxy.errors)
    return found


def _disturb(airoxy: Watched, faults: Faults, dice: random.Random, seconds: float) -> Counter[str]:
    """Events within none, one or two conditions, until the time is over."""
    done: Counter[str] = Counter()
    events, conditions = _drawn(faults.events, dice), _drawn(faults.conditions, dice)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        event = next(events)
        within: dict[str, Callable[[], AbstractContextManager[None]]] = {}
        for _ in range(dice.choice((0, 1, 1, 2))):
            condition = next(conditions)
            name = condition.__name__
            if not any({name, other} in APART for other in (event.__name__, *within)):
                within[name] = condition
        print(event.__name__, *within, flush=True)
        with contextlib.ExitStack() as stack:
            for condition in within.values():
                stack.enter_context(condition())
            event()
        if faults.wrong_clock.__name__ in within:  # what was cooled may stay so for an hour
            for row in airoxy.json("token", "list"):
                airoxy.cli("token", "reset", row["name"])
        done.update([event.__name__, *within])
        time.sleep(0.3)
    return done


def _drawn(table: list[Callable[..., T]], dice: random.Random) -> Iterator[Callable[..., T]]:
    """Everything comes before something comes again."""
    while True:
        yield from dice.sample(table, len(table))


def _unwell(airoxy: Watched) -> list[str]:
    """What /health still says against it after a time in which everything should be over."""
    deadline = time.monotonic() + PATIENCE
    told = ""
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            answer = airoxy.request("GET", "/health")
            if answer.status == 200 and "warning" not in answer.json():
                return []
            told = repr(answer)
        time.sleep(0.1)
    return [f"unwell: {told}"]


def _settled(faults: Faults, before: dict[str, int]) -> dict[str, int]:
    """What is held when nobody asks any more; connections take a moment to close."""
    deadline = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError, IndexError):  # one of them left just then
            now = held(faults.workers())
            if not grown(before, now) or time.monotonic() > deadline:
                return now
        time.sleep(0.2)
