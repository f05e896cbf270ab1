"""GET /health, where several workers answer as one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.proxy.test_streams import StreamClient


def streams_open(airoxy: Airoxy) -> set[int]:
    """What several workers say."""
    return {airoxy.request("GET", "/health").json()["streams_open"] for _ in range(6)}


def wait_for(airoxy: Airoxy, count: int) -> None:
    deadline = time.monotonic() + 20
    while streams_open(airoxy) != {count}:
        assert time.monotonic() < deadline, streams_open(airoxy)


def test_every_worker_knows_the_streams_of_all(
    install: Callable[..., Airoxy], upstream: FakeAnthropic
) -> None:
    airoxy = install(workers=2).start()
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    gates = [upstream.script().hold() for _ in range(4)]
    with contextlib.ExitStack() as clients:
        for _ in gates:
            clients.callback(StreamClient(airoxy, key).leave)
        wait_for(airoxy, 4)
        for limiter in gates:
            limiter.open()
    wait_for(airoxy, 0)
