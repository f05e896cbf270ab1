"""Where a message is provoked: an airoxy, and how to hear what it says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docs.curl import HELLO
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy

ONE = "sk-ant-api-test-one"


@dataclass
class Scene:
    install: Callable[..., Airoxy]
    upstream: FakeAnthropic
    directory: Path

    def running(self, **settings: Any) -> tuple[Airoxy, str]:
        """An airoxy with a token and a key."""
        airoxy = self.install(**settings).start()
        airoxy.token(ONE)
        return airoxy, airoxy.key()

    def ask(self, **settings: Any) -> str:
        return post(*self.running(**settings))

    def elsewhere(self, port: int, scheme: str = "http", **settings: Any) -> str:
        """What is said of an upstream at this port."""
        url = f"{scheme}://127.0.0.1:{port}"
        return self.ask(upstream={"url": url} | settings)

    def refused_to_start(self, **settings: Any) -> str:
        """What `airoxy serve` says instead of serving."""
        return serve(self.install(**settings))


Provocation = Callable[[Scene], str]
PROVOCATIONS: dict[str, Provocation] = {}


def says(message: str) -> Callable[[Provocation], Provocation]:
    def add(function: Provocation) -> Provocation:
        PROVOCATIONS[message] = function
        return function

    return add


def post(airoxy: Airoxy, key: str, path: str = "/v1/messages", **options: Any) -> str:
    """Status and message of an error."""
    given = {"body": HELLO} | options
    answer = airoxy.request("POST", path, key=key, **given)
    return f"{answer.status} {answer.json()['error']['message']}"


def serve(airoxy: Airoxy) -> str:
    done = airoxy.run("serve")
    assert done.returncode in (1, 78), done
    return done.stderr


def said(airoxy: Airoxy, words: str) -> str:
    """What stands in the journal, once `words` do."""
    deadline = time.monotonic() + 60
    while words not in airoxy.errors:
        assert time.monotonic() < deadline, airoxy.errors
        time.sleep(0.02)
    return airoxy.errors


def has_run(scene: Scene) -> Airoxy:
    """One whose database is there, and not open."""
    airoxy = scene.install()
    airoxy.key()
    return airoxy
