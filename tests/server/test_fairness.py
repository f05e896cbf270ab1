"""Who is served first beside a flood: answers are counted in turns of the loop, not in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from airoxy.config import load_config
from airoxy.server.app import ServerApp, open_server
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.server_state import ServerState
from airoxy.server.process.memory import LAYOUT
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.turns import AT_ONCE
from tests.fake_anthropic import Exchange, FakeAnthropic, Gate
from tests.fuzz.wire import Transport
from tests.program import Airoxy

FLOOD = 100


def head(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n".encode()


def with_connections(
    airoxy: Airoxy,
) -> tuple[ServerApp, ServerState, list[ClientConnection], list[Transport]]:
    """airoxy in this process and its event loop, and a flood's connections to it with one more."""
    app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
    app.turns.seconds = 3600.0  # however slow the machine is
    state = ServerState(app.answer)
    connections = [ClientConnection(state) for _ in range(FLOOD + 1)]
    transports = [Transport() for _ in connections]
    for connection, transport in zip(connections, transports, strict=True):
        connection.connection_made(transport)
    return app, state, connections, transports


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nothing"])
def test_a_key_is_answered_before_a_flood_without_a_key_that_came_earlier(
    install: Callable[..., Airoxy], path: str
) -> None:
    airoxy = install()
    key = airoxy.key()

    async def served() -> tuple[int, int]:
        app, state, connections, transports = with_connections(airoxy)
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


DELTA = b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "12345678"}}'
EVENT = b"event: content_block_delta\ndata: %b\n\n" % DELTA


def question(key: str) -> bytes:
    body = b'{"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [], "stream": true}'
    start = f"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n"
    return f"{start}content-length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("who", ["its clients", "the upstream"])
def test_streams_of_a_key_that_are_broken_off_together_end_one_by_one(
    install: Callable[..., Airoxy], upstream: FakeAnthropic, who: str
) -> None:
    """What has come of each is read to be counted, which takes up to a millisecond."""
    airoxy = install()
    airoxy.token("sk-ant-api-test-one")
    key, gate = airoxy.key(), Gate(upstream)

    async def one_event(x: Exchange) -> None:
        await upstream.api.begin_stream(x)
        await x.piece(EVENT)
        await gate.passes(x)

    upstream.script(times=None).do(one_event)

    async def left() -> list[int]:
        """How many streams there are in each turn of the loop after the end."""
        app, state, connections, transports = with_connections(airoxy)
        *flooding, one = connections
        for connection in flooding:
            connection.data_received(question(key))
        one.data_received(head("/nothing", "wrong"))  # somebody else is there, too
        while sum(b"text_delta" in each.written for each in transports) < FLOOD:
            await asyncio.sleep(0.01)
        while len(state.runners) > FLOOD:
            await asyncio.sleep(0.01)
        counts = [len(state.runners)]
        if who == "the upstream":
            gate.cut("fin")
            upstream.wait(lambda: not upstream.open_connections)
        else:
            for connection in flooding:
                connection.connection_lost(None)
        while counts[-1]:
            counts.append(len(state.runners))
            await asyncio.sleep(0)
        await app.aclose()
        return counts

    counts = asyncio.run(left())
    assert counts[0] == FLOOD
    assert max(before - after for before, after in pairwise(counts)) == 1
    assert {row["output_tokens"] for row in airoxy.wait_logs(FLOOD)} == {2}
