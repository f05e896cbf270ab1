"""Looking at the beginning of an answer, which stays to be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airoxy.errors import UpstreamBroken
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client

HEAD = b"HTTP/1.1 429 Limited\r\nContent-Length: 10\r\n\r\n"


async def begin(peers: Peers) -> Any:
    upstream = client(peers.url)
    exchange = upstream.start()
    await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
    return upstream, exchange


def test_what_was_looked_at_is_read_all_the_same(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, b"hello", b"world")

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream, exchange = await begin(peers)
            assert await exchange.peek(10, 20.0) == b"helloworld"
            assert exchange.arrived() == b"helloworld"
            assert await exchange.read() == b"helloworld"
            assert await exchange.read() == b""
            await upstream.aclose()

    run(scenario())


def test_a_body_that_stalls_is_waited_for_no_longer_than_said(run: Run) -> None:
    stalled = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, b"hello")
        await stalled.wait()
        await peer.send(b"world")

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream, exchange = await begin(peers)
            assert await exchange.peek(5, 20.0) == b"hello"
            assert await exchange.peek(10, 0.05) == b"hello"
            stalled.set()
            assert await exchange.peek(10, 20.0) == b"helloworld"
            exchange.close()
            await upstream.aclose()

    run(scenario())


def test_a_body_that_breaks_off_is_looked_at_as_far_as_it_came(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, b"hello")

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream, exchange = await begin(peers)
            assert await exchange.peek(10, 20.0) == b"hello"
            assert await exchange.read() == b"hello"
            with pytest.raises(UpstreamBroken):
                await exchange.read()
            await upstream.aclose()

    run(scenario())


def test_who_aborts_ends_the_look(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD, b"hello")
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream, exchange = await begin(peers)
            look = asyncio.create_task(exchange.peek(10, 20.0))
            await asyncio.sleep(0)
            exchange.abort(LookupError("the client has left"))
            with pytest.raises(LookupError):
                await look
            await upstream.aclose()

    run(scenario())
