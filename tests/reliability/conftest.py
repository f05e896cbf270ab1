"""airoxy as a program that tells what it holds, so that a test sees what was left behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy, ended

TOKEN = "sk-ant-api-test-one"


class Watched(Airoxy):
    """`held()` is what one worker has open: tasks, descriptors, resident memory."""

    module = "tests.reliability.instrumented"

    def held(self) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect(timeout=30)
        with contextlib.closing(connection):
            for _ in range(2):  # the first may come while the connection is still being accepted
                connection.request("GET", "/health")
                health = json.loads(connection.getresponse().read())
        status = Path(f"/proc/{health['pid']}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
        return {key: health[key] for key in ("tasks", "descriptors")} | {"memory": resident}

    def peak(self) -> int:
        """The most memory that the worker has had so far, in bytes."""
        pid = self.request("GET", "/health").json()["pid"]
        return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

    def wait_held(self, before: dict[str, int]) -> None:
        """Until no more tasks and descriptors are held than `before`."""
        deadline = time.monotonic() + 30
        while True:
            now = self.held()
            if all(now[key] <= before[key] for key in ("tasks", "descriptors")):
                return
            assert time.monotonic() < deadline, f"{now}, and before {before}"
            time.sleep(0.02)


@pytest.fixture
def install(
    tmp_path: Path, upstream: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Watched]]:
    """Sets up an airoxy in front of the fake; `timeouts` are for its clients, `url`
    another upstream."""
    made: list[Watched] = []

    def install(
        timeouts: dict[str, float] | None = None, url: str = upstream.url, **settings: Any
    ) -> Watched:
        monkeypatch.setenv("AIROXY_TEST_TIMEOUTS", json.dumps(timeouts or {}))
        made.append(Watched(tmp_path / f"airoxy-{len(made)}", url, **settings))
        return made[-1]

    with ended(made):
        yield install


@pytest.fixture
def airoxy(install: Callable[..., Watched]) -> Watched:
    """A running airoxy that has a token."""
    airoxy = install().start()
    airoxy.token(TOKEN)
    return airoxy


@pytest.fixture
def key(airoxy: Watched) -> str:
    return airoxy.key()
