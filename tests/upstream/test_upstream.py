"""The pool: which connection a request gets, how long one is kept, when a request is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from airoxy.errors import ConfigError, ConnectFailed, UpstreamBroken, UpstreamError
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client, fetch, replies, until


def len_or_none(body: bytes | None) -> str:
    return "no body" if body is None else f"{type(body).__name__} of {len(body)}"


HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_connections_are_kept_and_the_last_one_used_comes_first(run: Run) -> None:
    async def scenario() -> None:
        def named(name: bytes):  # type: ignore[no-untyped-def]
            return replies(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)

        async with Peers(named(b"1"), named(b"2"), named(b"3")) as peers:
            upstream = client(peers.url)
            host = [(b"host", upstream.host)]
            first, second, third = [await upstream.send(b"GET", b"/", host) for _ in range(3)]
            assert upstream.open_connections == 3
            for exchange in (first, third, second):
                await exchange.read()
            assert (await fetch(upstream))[1] == b"2"
            assert (await fetch(upstream))[1] == b"2"
            exchange = await upstream.send(b"GET", b"/", host)
            assert (await fetch(upstream))[1] == b"3"
            await exchange.read()
            assert peers.accepted == 3
            await upstream.aclose()
            assert upstream.open_connections == 0

    run(scenario())


def test_a_connection_is_free_as_soon_as_its_answer_is_read(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            await exchange.read()
            await fetch(upstream)
            exchange.close()
            exchange.close()
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        HELLO + b"garbage",
    ],
    ids=["close", "HTTP/1.0", "garbage behind the body"],
)
def test_a_connection_is_not_used_again_after(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async with Peers(replies(answer)) as peers:
            upstream = client(peers.url)
            for _ in range(3):
                assert (await fetch(upstream))[1] == b"hello"
            assert peers.accepted == 3
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_an_answer_closed_before_its_end_takes_the_connection_with_it(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            assert await exchange.read() == b"hello"
            exchange.close()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


@pytest.mark.parametrize("end", [Peer.close, Peer.reset])
def test_an_idle_connection_that_ends_leaves_the_pool(run: Run, end: object) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(HELLO)
        end(peer)  # type: ignore[operator]

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            await until(lambda: upstream.open_connections == 0)
            await fetch(upstream)
            assert peers.accepted == 2
            await upstream.aclose()

    run(scenario())


def test_an_idle_connection_that_speaks_leaves_the_pool(run: Run) -> None:
    async def scenario() -> None:
        idle = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(HELLO)
            await idle.wait()
            await peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            await peer.gone()

        async with Peers(script) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            assert upstream.open_connections == 1
            idle.set()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_old_idle_connections_are_closed(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url, idle_age=0.02)
            host = [(b"host", upstream.host)]
            exchanges = [await upstream.send(b"GET", b"/", host) for _ in range(3)]
            assert upstream.open_connections == 3
            for exchange in exchanges:
                await exchange.read()
            await until(lambda: upstream.open_connections == 0)
            await fetch(upstream)
            assert peers.accepted == 4
            await upstream.aclose()

    run(scenario())


def test_only_so_many_idle_connections_are_kept_but_any_number_may_be_open(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url, max_idle=3)
            host = [(b"host", upstream.host)]
            exchanges = [await upstream.send(b"GET", b"/", host) for _ in range(10)]
            assert upstream.open_connections == 10
            for exchange in exchanges:
                await exchange.read()
            await until(lambda: upstream.open_connections == 3)
            await upstream.aclose()

    run(scenario())


# Repeats


def stale(end: object) -> object:
    """Answers the first request, and closes on the second without a word."""

    async def script(peer: Peer) -> None:
        await peer.answer(HELLO)
        await peer.request()
        end(peer)  # type: ignore[operator]

    return script


@pytest.mark.parametrize("end", [Peer.close, Peer.reset])
@pytest.mark.parametrize(
    "body", [None, b"abc", bytearray(b"abc"), bytes(1_000_000)], ids=len_or_none
)
def test_a_request_on_a_stale_connection_is_repeated(
    run: Run, end: object, body: bytes | None
) -> None:
    async def scenario() -> None:
        async with Peers(stale(end), replies(HELLO)) as peers:  # type: ignore[arg-type]
            upstream = client(peers.url)
            await fetch(upstream)
            exchange, said = await fetch(upstream, b"POST", body=body)
            assert (exchange.status, said) == (200, b"hello")
            assert peers.accepted == 2
            await upstream.aclose()

    run(scenario())


def test_a_request_is_repeated_once_only(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(stale(Peer.close), Peer.request) as peers:  # type: ignore[arg-type]
            upstream = client(peers.url)
            await fetch(upstream)
            with pytest.raises(UpstreamBroken, match="before it answered"):
                await fetch(upstream)
            assert peers.accepted == 2
            await upstream.aclose()

    run(scenario())


def test_a_request_is_not_repeated_on_a_new_connection(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(Peer.request) as peers:
            upstream = client(peers.url)
            with pytest.raises(UpstreamBroken, match="before it answered"):
                await fetch(upstream)
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_a_request_is_not_repeated_after_a_byte_of_the_answer(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(HELLO)
        await peer.answer(b"H")

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            with pytest.raises(UpstreamBroken):
                await fetch(upstream)
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_an_abort_on_a_reused_connection_is_no_reason_to_repeat(run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(HELLO)
            await peer.request()
            asked.set()
            await peer.gone()

        async with Peers(script) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            exchange = upstream.start()
            task = asyncio.create_task(
                exchange.send(upstream.head(b"GET", b"/", [(b"host", b"a")]))
            )
            await asked.wait()
            exchange.abort(LookupError("gone"))
            with pytest.raises(LookupError):
                await task
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_a_body_that_cannot_be_repeated_goes_over_a_new_connection(run: Run) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            assert (await fetch(upstream, b"POST", body=body()))[1] == b"hello"
            assert peers.accepted == 2
            await fetch(upstream)
            assert peers.accepted == 2
            await upstream.aclose()

    run(scenario())


def test_a_repeat_that_finds_nobody_is_a_failed_connection(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(HELLO)
            await peer.request()
            peers.stop_listening()

        async with Peers(script) as peers:
            upstream = client(peers.url)
            await fetch(upstream)
            with pytest.raises(ConnectFailed, match="refused"):
                await fetch(upstream)
            await upstream.aclose()

    run(scenario())


# Beginning and end


def test_a_closed_client_connects_no_more(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(Peer.gone) as peers:
            upstream = client(peers.url)
            late = asyncio.create_task(fetch(upstream))
            await until(lambda: peers.accepted == 1)
            await upstream.aclose()
            for request in (late, fetch(upstream)):
                with pytest.raises(UpstreamError, match="shutting down"):
                    await request
            assert upstream.open_connections == 0
            assert peers.accepted == 1

    run(scenario())


def test_a_client_can_be_made_before_there_is_a_loop() -> None:
    upstream = client("https://api.anthropic.com")
    assert upstream.host == b"api.anthropic.com"
    assert upstream.open_connections == 0


def test_a_client_refuses_what_is_no_origin_or_no_proxy() -> None:
    with pytest.raises(ConfigError):
        client("ftp://example.com")
    with pytest.raises(ConfigError):
        client("https://example.com", proxy="socks5://localhost:1080")
