"""Answers over real sockets: whole, in pieces, and broken off."""

from __future__ import annotations

import asyncio

import pytest

from airoxy.errors import UpstreamBroken
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client, fetch, once, replies, until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"


def test_pieces_that_arrived_together_are_read_together(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        events = b"".join(b"8\r\nevent %d\n\r\n" % i for i in range(9))
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + events)
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange = upstream.start()
            await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
            assert await exchange.read() == b"".join(b"event %d\n" % i for i in range(9))
            assert not exchange.complete
            exchange.close()
            await upstream.aclose()

    run(scenario())


def test_complete_says_that_read_will_not_wait(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url)
            exchange = upstream.start()
            assert not exchange.complete
            await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
            assert exchange.complete
            assert await exchange.read() == b"hello"
            assert exchange.complete
            assert await exchange.read() == b""
            assert await exchange.read() == b""
            await upstream.aclose()

    run(scenario())


def test_interim_answers_are_swallowed(run: Run) -> None:
    async def scenario() -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        async with Peers(replies(interim, HELLO)) as peers:
            upstream = client(peers.url)
            for _ in range(3):
                exchange, body = await fetch(upstream, b"POST", body=b"x")
                assert (exchange.status, body) == (200, b"hello")
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_head_has_no_body_and_keeps_the_connection(run: Run) -> None:
    async def scenario() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
        async with Peers(replies(head)) as peers:
            upstream = client(peers.url)
            for _ in range(2):
                exchange, body = await fetch(upstream, b"HEAD")
                assert exchange.headers == [(b"content-length", b"5000")]
                assert body == b""
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_a_close_delimited_body_ends_with_the_connection(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(once(b"HTTP/1.1 200 OK\r\n\r\n", b"hello ", b"world")) as peers:
            upstream = client(peers.url)
            _, body = await fetch(upstream)
            assert body == b"hello world"
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_a_reset_does_not_end_a_close_delimited_body(run: Run) -> None:
    async def scenario() -> None:
        got_it = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhello")
            await got_it.wait()
            peer.reset()

        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            assert await exchange.read() == b"hello"
            got_it.set()
            with pytest.raises(UpstreamBroken):
                await exchange.read()
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"nonsense\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 100_000 + b"\r\n",
    ],
    ids=["nothing", "half a head", "only 100", "nonsense", "101", "lengths", "long", "many"],
)
def test_no_head_no_answer(run: Run, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        try:
            await peer.send(answer)
        except ConnectionError:
            return

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            with pytest.raises(UpstreamBroken):
                await fetch(upstream)
            assert peers.accepted == 1
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: "
        + b"x" * 200_000,
    ],
    ids=["length", "no last chunk", "half a chunk", "chunk size", "endless trailer"],
)
@pytest.mark.parametrize("end", [Peer.close, Peer.reset, Peer.gone])
def test_a_body_that_breaks_off_is_an_error_after_its_last_byte(
    run: Run, answer: bytes, end: object
) -> None:
    async def scenario() -> None:
        got_it = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(answer)
            if end is not Peer.gone:
                await got_it.wait()
                end(peer)  # type: ignore[operator]
            elif b"nonsense" in answer or b"X: " in answer:
                await peer.gone()

        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            body = b""
            with pytest.raises(UpstreamBroken):
                while True:
                    body += await exchange.read()
                    got_it.set()
            assert body == b"hello"
            with pytest.raises(UpstreamBroken):
                await exchange.read()
            exchange.close()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())
