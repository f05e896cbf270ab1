"""When an answer leaves the process: at once for a few requests, together for many."""

from __future__ import annotations

import asyncio

import pytest

from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.server_state import ServerState
from tests.fuzz.wire import Transport

REQUEST = b"GET / HTTP/1.1\r\nhost: airoxy\r\n\r\n"


class Limited(Transport):
    """Remembers how much may wait in it; None is what the event loop thinks best."""

    high: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


async def _limits(clients: int, *, secure: bool) -> list[int | None]:
    """What `clients` are told that come one after the other and wait for their answers."""

    async def answer(*_: object) -> None:
        await asyncio.Event().wait()

    state = ServerState(answer, secure=secure)
    transports = [Limited() for _ in range(clients)]
    for transport in transports:
        connection = ClientConnection(state)
        connection.connection_made(transport)
        connection.data_received(REQUEST)
    for runner in tuple(state.runners):
        runner.cancel()
    return [transport.high for transport in transports]


@pytest.mark.parametrize(("secure", "limits"), [(False, [0, 0, 0, None, None]), (True, [None] * 5)])
def test_answers_to_a_few_do_not_wait_for_company(secure: bool, limits: list[int | None]) -> None:
    assert asyncio.run(_limits(5, secure=secure)) == limits
