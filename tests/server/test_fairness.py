"""Who is served first beside a flood: answers are counted in turns of the loop, not in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from airoxy.config import load_config
from airoxy.server.app import open_server
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.server_state import ServerState
from airoxy.server.process.memory import LAYOUT
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.turns import AT_ONCE
from tests.fuzz.wire import Transport
from tests.program import Airoxy

FLOOD = 100


def head(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nothing"])
def test_a_key_is_answered_before_a_flood_without_a_key_that_came_earlier(
    install: Callable[..., Airoxy], path: str
) -> None:
    airoxy = install()
    key = airoxy.key()

    async def served() -> tuple[int, int]:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        app.turns.seconds = 3600.0  # however slow the machine is
        state = ServerState(app.answer)
        connections = [ClientConnection(state) for _ in range(FLOOD + 1)]
        transports = [Transport() for _ in connections]
        for connection, transport in zip(connections, transports, strict=True):
            connection.connection_made(transport)
        *flooding, one = connections

        async def answered(least: int) -> None:
            while sum(bool(each.written) for each in transports) < least:
                await asyncio.sleep(0)

        # There is no upstream token, so that all is answered here.
        one.data_received(head("/v1/models", key))
        flooding[0].data_received(head(path, "wrong"))
        await answered(2)
        for transport in transports:
            transport.written = b""
        for connection in flooding:
            connection.data_received(head(path, "wrong"))
        one.data_received(head("/v1/models", key))
        while not transports[-1].written:
            await asyncio.sleep(0)
        before = sum(bool(each.written) for each in transports[:-1])
        await answered(FLOOD + 1)
        for connection in connections:
            connection.connection_lost(None)
        await app.aclose()
        return before, len(state.runners)

    before, running = asyncio.run(served())
    assert before <= 4 * AT_ONCE
    assert running == 0
