"""GET /health, where several workers answer as one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.docs.curl import HELLO
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.proxy.test_streams import StreamClient


def streams_open(airoxy: Airoxy) -> set[int]:
    """What several workers say."""
    return {airoxy.request("GET", "/health").json()["streams_open"] for _ in range(6)}


def wait_for(airoxy: Airoxy, count: int) -> None:
    deadline = time.monotonic() + 60
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


def test_a_model_for_which_every_token_cools_down_is_told_and_others_are_served(
    install: Callable[..., Airoxy], upstream: FakeAnthropic
) -> None:
    airoxy = install().start()
    for name in ("one", "two"):
        airoxy.token(f"sk-ant-api-test-{name}")
    key = airoxy.key()
    assert "cooling" not in airoxy.request("GET", "/health").json()
    opus = HELLO | {"model": "claude-opus-5-5"}
    upstream.script().limit(retry_after=300)
    assert airoxy.request("POST", "/v1/messages", opus, key=key).status == 200
    assert "cooling" not in airoxy.request("GET", "/health").json()  # the other token serves
    upstream.script().limit(retry_after=600)
    assert airoxy.request("POST", "/v1/messages", opus, key=key).status == 429

    health = wait_cooling(airoxy)
    assert (health["status"], health["tokens_ready"]) == ("ok", 2)
    [cooling] = health["cooling"]
    assert cooling["scope"] == "claude-opus-5-5"
    until = datetime.fromisoformat(cooling["until"]).timestamp()
    assert 200 < until - time.time() <= 301
    text = airoxy.request("GET", "/metrics").body.decode()
    assert 'airoxy_all_tokens_cooling{scope="claude-opus-5-5"} 1.0' in text
    haiku = HELLO | {"model": "claude-haiku-5-5"}
    assert airoxy.request("POST", "/v1/messages", haiku, key=key).status == 200


def test_a_model_that_nobody_was_charged_for_yet_is_told_by_its_name_where_it_has_a_price(
    install: Callable[..., Airoxy], upstream: FakeAnthropic
) -> None:
    """A name that a client made up would be one more series of metrics."""
    airoxy = install().start()
    airoxy.token("sk-ant-api-test-one")
    key = airoxy.key()
    for model in ("claude-opus-5-5", "claude-made-up-1"):
        upstream.script().limit(retry_after=300)
        request = HELLO | {"model": model}
        assert airoxy.request("POST", "/v1/messages", request, key=key).status == 429
    deadline = time.monotonic() + 60
    cooling: list[str] = []
    while len(cooling) < 2:  # what cools down is told when it is written
        assert time.monotonic() < deadline, cooling
        lines = airoxy.request("GET", "/metrics").body.decode().splitlines()
        cooling = [line for line in lines if line.startswith("airoxy_all_tokens_cooling{")]
    assert cooling == [
        'airoxy_all_tokens_cooling{scope="claude-opus-5-5"} 1.0',
        'airoxy_all_tokens_cooling{scope="other"} 1.0',
    ]


def wait_cooling(airoxy: Airoxy) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while "cooling" not in (health := airoxy.request("GET", "/health").json()):
        assert time.monotonic() < deadline, health
    return health
