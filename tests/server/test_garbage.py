"""What is kept of a request is freed with its end, and not by the garbage collector, which may come
late: a body may have 30 MB."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from types import FrameType

import pytest

from airoxy.config import load_config
from airoxy.server.app import ServerApp, open_server
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.server_state import ServerState
from airoxy.server.process.memory import LAYOUT
from airoxy.server.shared_memory import SharedMemory
from airoxy.upstream.exchange import Exchange
from tests.fuzz.wire import Transport
from tests.program import Airoxy

BODY = b'{"model":"claude-opus-5-5","messages":[]}'
HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
HALF_AN_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"


class Upstream(asyncio.Protocol):
    """Sends `sent` in answer to a request and hangs up, or says nothing."""

    def __init__(self, sent: bytes, arrived: asyncio.Event, lost: asyncio.Event) -> None:
        self._sent, self._arrived, self._lost = sent, arrived, lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(BODY):
            self._arrived.set()
            if self._sent:
                self._transport.write(self._sent)
                self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost.set()


@pytest.mark.parametrize("sent", [b"", HALF_AN_ANSWER])
def test_a_request_that_is_broken_off_leaves_no_garbage(
    install: Callable[..., Airoxy], sent: bytes
) -> None:
    airoxy = install()
    key = airoxy.key()
    airoxy.token("sk-ant-api-test-one")

    async def break_off(app: ServerApp, arrived: asyncio.Event, lost: asyncio.Event) -> None:
        connection = ClientConnection(ServerState(app.answer))
        connection.connection_made(Transport())
        connection.data_received(HEAD % (key.encode(), len(BODY)) + BODY)
        await arrived.wait()
        if not sent:  # else the upstream breaks it off
            connection.connection_lost(None)
        while app.proxy.running or app.proxy.upstream.open_connections:
            await asyncio.sleep(0)
        if sent:
            connection.connection_lost(None)
        await lost.wait()
        arrived.clear()
        lost.clear()

    async def left() -> list[object]:
        events = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Upstream(sent, *events), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        airoxy.write_config(upstream={"url": f"http://127.0.0.1:{port}"})
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        await break_off(app, *events)  # what is made with the first one stays
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await break_off(app, *events)
            gc.collect()
            return [each for each in gc.garbage if isinstance(each, (Exchange, FrameType))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            server.close()
            await app.aclose()

    assert asyncio.run(left()) == []
