"""When an answer leaves the process: at once for a few requests, together for many."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.server import ServerState

from airoxy.server.http.connection import ClientConnection
from tests.fuzz.wire import Transport

REQUEST = b"GET / HTTP/1.1\r\nhost: airoxy\r\n\r\n"


class Limited(Transport):
    """Remembers how much may wait in it; None is what the event loop thinks best."""

    high: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


async def _limits(clients: int, **settings: Any) -> list[int | None]:
    """What `clients` are told that come one after the other and wait for their answers."""

    async def answer(_: object) -> None:
        await asyncio.Event().wait()

    state = ServerState()
    config = SimpleNamespace(loaded_app=answer, timeout_keep_alive=5, **settings)
    transports = [Limited() for _ in range(clients)]
    for transport in transports:
        connection = ClientConnection(config, state)
        connection.connection_made(transport)
        connection.data_received(REQUEST)
    for runner in tuple(state.tasks):
        runner.cancel()
    return [transport.high for transport in transports]


@pytest.mark.parametrize(("ssl", "limits"), [(None, [0, 0, 0, None, None]), (object(), [None] * 5)])
def test_answers_to_a_few_do_not_wait_for_company(ssl: object, limits: list[int | None]) -> None:
    assert asyncio.run(_limits(5, ssl=ssl)) == limits
