"""The stub server as a service, started by a test and stopped after it; airoxy with some tokens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.program import Airoxy
from tests.server.pool.pooled import ONE, THREE, TWO
from tests.server.service import Service


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts the one service of a test, with these settings."""
    made: list[Service] = []

    def begin(
        *, until: str = "READY=1", listener: socket.socket | None = None, **settings: object
    ) -> Service:
        service = Service(tmp_path, listener)
        made.append(service)
        service.configure(**settings)
        return service.start(until=until)

    yield begin
    for service in made:
        service.stop()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def pool(airoxy: Airoxy) -> tuple[Airoxy, str]:
    """Three tokens, of which "one" is next."""
    for name, secret in (("one", ONE), ("two", TWO), ("three", THREE)):
        airoxy.token(secret, name=name)
    return airoxy, airoxy.key()
