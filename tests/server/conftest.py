"""The stub server as a service, started by a test and stopped after it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
