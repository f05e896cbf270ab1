"""Backpressure both ways over real sockets: nothing piles up, and everything arrives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from airoxy.errors import UpstreamBroken
from airoxy.upstream.connection import HIGH_WATER
from airoxy.upstream.exchange import Exchange
from tests.upstream.certificates import Authority
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client, fetch, until

MIB = 2**20
#: What the kernel and both event loops may hold between two ends that do not read.
IN_FLIGHT = 24 * MIB


async def settle(counter: list[int]) -> int:
    """Wait until a count stands still, however long the event loop is given."""
    while True:
        before = counter[0]
        for _ in range(1000):
            await asyncio.sleep(0)
        if before and counter[0] == before:
            return before


def held(exchange: Exchange) -> int:
    assert exchange._answer is not None
    return exchange._answer.size


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_answer_that_nobody_reads_stops_at_the_upstream(
    run: Run, authority: Authority, secure: bool, framing: str
) -> None:
    total = 48 * MIB
    sent = [0]
    headers = {
        "length": b"Content-Length: %d\r\n" % total,
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "close": b"",
    }[framing]

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
        piece = bytes(65536)
        framed = b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece
        while sent[0] < total:
            await peer.send(framed)
            sent[0] += len(piece)
        if framing == "chunked":
            await peer.send(b"0\r\n\r\n")
        if framing != "close":
            await peer.gone()

    async def scenario() -> None:
        server: ssl.SSLContext | None = authority.server() if secure else None
        async with Peers(script, tls=server) as peers:
            upstream = client(peers.url, ssl_context=authority.trusting() if secure else None)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            await until(lambda: held(exchange) > HIGH_WATER)
            assert await settle(sent) < IN_FLIGHT
            assert held(exchange) < 3 * HIGH_WATER
            received = 0
            while piece := await exchange.read():
                received += len(piece)
                assert len(piece) < 3 * HIGH_WATER
            assert received == total
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("iterated", [False, True], ids=["bytes", "iterator"])
def test_a_body_that_nobody_takes_stops_here(
    run: Run, authority: Authority, secure: bool, iterated: bool
) -> None:
    total = 48 * MIB
    made = [0]
    go_on = asyncio.Event()
    taken = [0]

    async def pieces() -> AsyncIterator[bytes]:
        while made[0] < total:
            made[0] += 65536
            yield bytes(65536)

    async def script(peer: Peer) -> None:
        await peer.head()
        made[0] += 1
        await go_on.wait()
        while taken[0] < total:
            taken[0] += len(await peer.reader.read(MIB))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await peer.gone()

    async def scenario() -> None:
        server = authority.server() if secure else None
        async with Peers(script, tls=server) as peers:
            upstream = client(peers.url, ssl_context=authority.trusting() if secure else None)
            body = pieces() if iterated else bytes(total)
            task = asyncio.create_task(fetch(upstream, b"POST", body=body, length=total))
            await until(lambda: any(each.write_paused for each in upstream._pool._open))
            assert await settle(made) < IN_FLIGHT
            assert upstream.open_connections == 1
            (connection,) = upstream._pool._open
            assert connection.write_paused
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < MIB
            go_on.set()
            assert (await task)[1] == b"hello"
            assert taken[0] == total
            await upstream.aclose()

    run(scenario())


async def endless(peer: Peer) -> None:
    """Answers with a body that has no end, until the client goes."""
    await peer.answer(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            await peer.send(bytes(65536))


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_slow_reader_can_leave_in_the_middle(
    run: Run, authority: Authority, secure: bool
) -> None:
    async def scenario() -> None:
        server = authority.server() if secure else None
        async with Peers(endless, tls=server) as peers:
            upstream = client(peers.url, ssl_context=authority.trusting() if secure else None)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            for _ in range(20):
                assert await exchange.read()
            exchange.close()
            await upstream.aclose()
            assert upstream.open_connections == 0

    run(scenario())


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_what_has_arrived_can_be_read_when_the_connection_is_gone(
    run: Run, authority: Authority, secure: bool
) -> None:
    async def scenario() -> None:
        server = authority.server() if secure else None
        async with Peers(endless, tls=server) as peers:
            upstream = client(peers.url, ssl_context=authority.trusting() if secure else None)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            await until(lambda: held(exchange) > HIGH_WATER)
            await upstream.aclose()
            assert len(await exchange.read()) > HIGH_WATER
            with pytest.raises(UpstreamBroken, match="shutting down"):
                await exchange.read()

    run(scenario())
