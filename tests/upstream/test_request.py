"""Requests over real sockets: what goes out, and what an early answer does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from airoxy.errors import InvalidInput
from airoxy.upstream.upload import PIECE
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client, drain, fetch, until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"


class Recorder:
    """A script that keeps what was asked."""

    def __init__(self, answer: bytes = HELLO) -> None:
        self.answer = answer
        self.requests: list[tuple[bytes, bytes]] = []

    async def __call__(self, peer: Peer) -> None:
        try:
            while True:
                self.requests.append(await peer.request())
                await peer.send(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_a_request_goes_out_byte_for_byte(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(seen := Recorder()) as peers:
            upstream = client(peers.url)
            exchange = upstream.start()
            headers = [(b"host", upstream.host), (b"x-b", b"\xe9 2"), (b"x-b", b"")]
            await exchange.send(
                upstream.head(b"POST", b"/v1/messages?beta=true", headers), b'{"a":\r\n1}'
            )
            assert exchange.status == 200
            assert exchange.headers == [(b"content-length", b"5"), (b"x-a", b"1")]
            assert await drain(exchange) == b"hello"
            await upstream.aclose()
        assert seen.requests == [
            (
                b"POST /v1/messages?beta=true HTTP/1.1\r\nhost: %b\r\nx-b: \xe9 2\r\nx-b: \r\n"
                b"content-length: 9\r\n\r\n" % upstream.host,
                b'{"a":\r\n1}',
            )
        ]

    run(scenario())


def test_the_path_of_the_url_is_put_before_the_target(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(seen := Recorder()) as peers:
            upstream = client(peers.url + "/some/where/")
            await fetch(upstream, target=b"/v1/models?limit=5")
            await upstream.aclose()
        assert seen.requests[0][0].startswith(b"GET /some/where/v1/models?limit=5 HTTP/1.1\r\n")

    run(scenario())


@pytest.mark.parametrize(
    ("method", "body", "framing"),
    [
        (b"GET", None, None),
        (b"DELETE", None, None),
        (b"POST", None, b"content-length: 0"),
        (b"PUT", None, b"content-length: 0"),
        (b"PATCH", None, b"content-length: 0"),
        (b"GET", b"", b"content-length: 0"),
        (b"POST", b"abc", b"content-length: 3"),
        (b"POST", bytearray(b"abc"), b"content-length: 3"),
    ],
)
def test_a_body_is_framed(
    run: Run, method: bytes, body: bytes | None, framing: bytes | None
) -> None:
    async def scenario() -> None:
        async with Peers(seen := Recorder()) as peers:
            upstream = client(peers.url)
            await fetch(upstream, method, body=body)
            await upstream.aclose()
        head, sent = seen.requests[0]
        lines = head.split(b"\r\n")[2:-2]
        assert lines == ([framing] if framing else [])
        assert sent == bytes(body or b"")

    run(scenario())


@pytest.mark.parametrize("size", [65536, 65537, PIECE, PIECE + 1, 5 * PIECE - 1])
def test_bodies_of_all_sizes_arrive_whole_and_keep_the_connection(run: Run, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    async def scenario() -> None:
        async with Peers(seen := Recorder()) as peers:
            upstream = client(peers.url)
            await fetch(upstream, b"POST", body=body[:size])
            await fetch(upstream, b"POST", body=bytearray(body[:size]))
            assert peers.accepted == 1
            await upstream.aclose()
        assert [sent == body[:size] for _, sent in seen.requests] == [True, True]

    run(scenario())


def test_an_iterator_is_sent_with_its_length_or_in_chunks(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(seen := Recorder()) as peers:
            upstream = client(peers.url)
            await fetch(upstream, b"POST", body=pieces(b"ab", b"", b"cde"), length=5)
            await fetch(upstream, b"POST", body=pieces(b"ab", b"", b"cde" * 10))
            await fetch(upstream, b"POST", body=pieces())
            await upstream.aclose()
        (one, ab), (two, chunks), (three, nothing) = seen.requests
        assert b"\r\ncontent-length: 5\r\n" in one
        assert b"\r\ntransfer-encoding: chunked\r\n" in two
        assert b"content-length" not in two
        assert b"\r\ntransfer-encoding: chunked\r\n" in three
        assert (ab, chunks, nothing) == (b"abcde", b"ab" + b"cde" * 10, b"")

    run(scenario())


@pytest.mark.parametrize(("length", "word"), [(4, "longer"), (6, "shorter")])
def test_an_iterator_of_another_length_is_an_error(run: Run, length: int, word: str) -> None:
    async def scenario() -> None:
        async with Peers(Peer.gone) as peers:
            upstream = client(peers.url)
            with pytest.raises(InvalidInput, match=word):
                await fetch(upstream, b"POST", body=pieces(b"ab", b"cde"), length=length)
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_what_the_iterator_raises_comes_out_and_closes_the_connection(run: Run) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"ab"
        raise LookupError("the client left")

    async def scenario() -> None:
        async with Peers(Peer.gone) as peers:
            upstream = client(peers.url)
            with pytest.raises(LookupError, match="the client left"):
                await fetch(upstream, b"POST", body=broken())
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/\r\nx-evil: 1", [(b"host", b"a")]),
        (b"/\n", [(b"host", b"a")]),
        (b"/", [(b"host", b"a\r\nx-evil: 1")]),
        (b"/", [(b"host", b"a"), (b"x\r\nx-evil", b"1")]),
        (b"/", [(b"host", b"a"), (b"x", b"1\rx-evil: 1")]),
    ],
)
def test_a_smuggled_line_break_is_refused(
    run: Run, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    async def scenario() -> None:
        upstream = client("http://127.0.0.1:9")
        with pytest.raises(InvalidInput):
            await upstream.send(b"GET", target, headers)
        await upstream.aclose()

    run(scenario())


# Answers that come early


@pytest.mark.parametrize("iterated", [False, True])
def test_an_early_answer_stops_the_sending(run: Run, iterated: bool) -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * 65536

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            body = endless() if iterated else bytes(64 * 2**20)
            exchange, said = await fetch(upstream, b"POST", body=body)
            assert (exchange.status, said) == (413, b"large")
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()
        assert made < 2000

    run(scenario())


def test_an_early_answer_is_heard_while_the_body_is_still_being_made(run: Run) -> None:
    cancelled = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"ab"
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(HELLO)
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange, body = await fetch(upstream, b"POST", body=stalled(), length=1000)
            assert (exchange.status, body) == (200, b"hello")
            assert cancelled.is_set()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_100_continue_does_not_stop_the_sending(run: Run) -> None:
    async def script(peer: Peer) -> None:
        head = await peer.head()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert b"content-length: 1000000" in head
        await peer.reader.readexactly(1_000_000)
        await peer.send(HELLO)
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            _, body = await fetch(upstream, b"POST", body=bytes(1_000_000))
            assert body == b"hello"
            assert upstream.open_connections == 1
            await upstream.aclose()

    run(scenario())
