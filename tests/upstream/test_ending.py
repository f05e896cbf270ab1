"""Exchanges that are ended from outside, or by silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airoxy.errors import UpstreamBroken, UpstreamTimeout
from airoxy.upstream.exchange import Exchange
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client, fetch, replies, until

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"


def test_an_exchange_aborted_before_it_began_opens_nothing(run: Run) -> None:
    async def scenario() -> None:
        upstream = client("http://127.0.0.1:9")
        exchange = upstream.start()
        exchange.abort(LookupError("gone"))
        with pytest.raises(LookupError):
            await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
        assert upstream.open_connections == 0
        await upstream.aclose()

    run(scenario())


async def _silent(peer: Peer) -> None:
    await peer.gone()


async def _head_only(peer: Peer) -> None:
    await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
    await peer.gone()


async def _stalled_body() -> AsyncIterator[bytes]:
    yield b"ab"
    await asyncio.Event().wait()


async def _send_and_read(exchange: Exchange, head: bytes, body: Any) -> None:
    await exchange.send(head, body)
    await exchange.read()


PHASES = {
    "waiting for the head": (_silent, lambda: b"x"),
    "sending a large body": (_silent, lambda: bytes(50_000_000)),
    "waiting for more body": (_silent, _stalled_body),
    "reading": (_head_only, lambda: b"x"),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", ["abort", "abort with nothing", "close", "cancel"])
def test_an_exchange_can_be_ended_in_every_phase(run: Run, phase: str, how: str) -> None:
    script, make_body = PHASES[phase]
    wrong = {"cancel": asyncio.CancelledError, "abort": LookupError}.get(how, UpstreamBroken)

    async def scenario() -> None:
        started = asyncio.Event()

        async def watched(peer: Peer) -> None:
            if script is _silent:
                await peer.head()
            started.set()
            await script(peer)

        async with Peers(watched) as peers:
            upstream = client(peers.url)
            exchange = upstream.start()
            head = upstream.head(b"POST", b"/", [(b"host", upstream.host)])
            task = asyncio.create_task(_send_and_read(exchange, head, make_body()))
            await started.wait()
            if phase == "reading":
                await until(lambda: exchange.status != 0)
            if how == "cancel":
                task.cancel()
            elif how == "close":
                exchange.close()
            else:
                exchange.abort(LookupError("gone") if how == "abort" else None)
            with pytest.raises(wrong):
                await task
            exchange.close()
            exchange.abort()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_an_ended_exchange_is_out_of_reach_of_abort(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url)
            exchange, _ = await fetch(upstream)
            exchange.abort(LookupError("late"))
            exchange.close()
            assert await exchange.read() == b""
            await fetch(upstream)
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_abort_drops_an_answer_that_has_arrived_but_was_not_read(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(replies(HELLO)) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            exchange.abort(LookupError("gone"))
            with pytest.raises(LookupError):
                await exchange.read()
            await until(lambda: upstream.open_connections == 0)
            await upstream.aclose()

    run(scenario())


def test_an_exchange_that_failed_has_nothing_to_read(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(Peer.head) as peers:  # type: ignore[arg-type]
            upstream = client(peers.url)
            exchange = upstream.start()
            with pytest.raises(RuntimeError):
                await exchange.read()
            with pytest.raises(UpstreamBroken):
                await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
            with pytest.raises(RuntimeError):
                await exchange.read()
            await upstream.aclose()

    run(scenario())


def test_closing_the_client_ends_what_is_under_way(run: Run) -> None:
    async def scenario() -> None:
        async with Peers(_head_only) as peers:
            upstream = client(peers.url)
            exchange = await upstream.send(b"GET", b"/", [(b"host", upstream.host)])
            reading = asyncio.create_task(exchange.read())
            await asyncio.sleep(0)
            await upstream.aclose()
            assert upstream.open_connections == 0
            with pytest.raises(UpstreamBroken, match="shutting down"):
                await reading
            await upstream.aclose()

    run(scenario())


# Silence


@pytest.mark.parametrize(
    "opening",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_silent_upstream_times_out(run: Run, opening: bytes) -> None:
    async def script(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):  # on a busy machine it is too late already
            await peer.answer(opening)
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url, read_timeout=0.05)
            with pytest.raises(UpstreamTimeout, match="silent for 0.05 seconds"):
                await fetch(upstream, b"POST", body=b"x")
            await until(lambda: upstream.open_connections == 0)
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_silence_on_a_reused_connection_is_no_reason_to_repeat(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(HELLO)
        await peer.request()
        await peer.gone()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url, read_timeout=1.0)  # in which the first one is answered
            await fetch(upstream)
            with pytest.raises(UpstreamTimeout):
                await fetch(upstream)
            assert peers.accepted == 1
            await upstream.aclose()

    run(scenario())


def test_an_upstream_that_stops_taking_the_body_times_out(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()
        await closed.wait()
        peer.writer.transport.resume_reading()
        await peer.gone()

    closed = asyncio.Event()

    async def scenario() -> None:
        async with Peers(script) as peers:
            upstream = client(peers.url, read_timeout=0.1)
            with pytest.raises(UpstreamTimeout):
                await fetch(upstream, b"POST", body=bytes(64 * 2**20))
            closed.set()
            await upstream.aclose()

    run(scenario())
