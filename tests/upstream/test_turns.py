"""Answers whose receiver shares the event loop with others: a slice in a turn, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from airoxy.errors import UpstreamBroken
from airoxy.upstream.connection import FINE_SLICE, SLICE
from airoxy.upstream.upload import PIECE
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, client

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Scarce:
    """A share with no room in the present turn: everything waits until the test lets it go on."""

    limited = True

    def __init__(self) -> None:
        self.waiting: list[Callable[[], int]] = []
        self.costs: list[int] = []

    def begin(self, cost: int) -> bool:
        return False

    def queue(self, go_on: Callable[[], int]) -> None:
        self.waiting.append(go_on)

    async def turn(self) -> None:
        """There is none to wait for: bodies go up at once."""

    async def serve(self) -> None:
        while True:
            await asyncio.sleep(0)
            if self.waiting:
                self.costs.append(self.waiting.pop(0)())


class Free(Scarce):
    """A key that is alone."""

    limited = False


async def answered(share: Scarce, *pieces: bytes, size: int | None) -> tuple[bytes, int, bool]:
    """What is received of an answer (in chunks, without a size), the dearest turn, and whether the
    answer broke off."""

    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED if size is None else HEAD % size, *pieces)
        peer.close()

    received, broken = b"", False
    serving = asyncio.ensure_future(share.serve())
    async with Peers(script) as peers:
        upstream = client(peers.url)
        exchange = upstream.start(share=share)
        await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
        try:
            while piece := await exchange.read():
                received += piece
        except UpstreamBroken:
            broken = True
        await upstream.aclose()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return received, max(share.costs, default=0), broken


BODY = bytes(range(256)) * 4096


def test_a_large_answer_is_looked_at_in_slices_and_is_whole(run: Run) -> None:
    share = Scarce()
    received, cost, broken = run(answered(share, BODY, size=len(BODY)))
    assert received == BODY
    assert not broken
    assert len(share.costs) >= len(BODY) // SLICE
    assert 1 < cost <= 1 + SLICE // 8192


def test_of_an_answer_in_many_small_chunks_less_is_looked_at_in_a_turn(run: Run) -> None:
    share = Scarce()
    chunks = b"64\r\n" + b"x" * 100 + b"\r\n"
    received, _, broken = run(answered(share, chunks * 5000, b"0\r\n\r\n", size=None))
    assert received == b"x" * 500_000
    assert not broken
    assert max(share.costs[2:]) == 1 + FINE_SLICE // 8192


def test_no_more_is_looked_at_than_a_reader_takes_in_one_turn(run: Run) -> None:
    async def scenario() -> tuple[int, bytes]:
        async def script(peer: Peer) -> None:
            await peer.answer(HEAD % len(BODY), BODY)
            await peer.gone()

        share = Scarce()
        serving = asyncio.ensure_future(share.serve())
        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange = upstream.start(share=share)
            await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
            while len(exchange.arrived()) <= 2 * SLICE or share.waiting:
                await asyncio.sleep(0)
            largest, received = 0, b""
            while piece := await exchange.read():
                largest, received = max(largest, len(piece)), received + piece
            await upstream.aclose()
        serving.cancel()
        return largest, received

    largest, received = run(scenario())
    assert received == BODY
    assert largest <= 3 * SLICE


class Counting(Scarce):
    """Counts the turns that are asked for."""

    turns = 0

    async def turn(self) -> None:
        self.turns += 1


def test_each_piece_of_a_large_body_has_a_turn(run: Run) -> None:
    async def scenario() -> tuple[int, int]:
        async def script(peer: Peer) -> None:
            sent.append(len((await peer.request())[1]))
            await peer.send(HEAD % 2 + b"ok")

        sent: list[int] = []
        share = Counting()
        serving = asyncio.ensure_future(share.serve())
        async with Peers(script) as peers:
            upstream = client(peers.url)
            exchange = upstream.start(share=share)
            await exchange.send(upstream.head(b"POST", b"/", [(b"host", upstream.host)]), BODY)
            assert await exchange.read() == b"ok"
            await upstream.aclose()
        serving.cancel()
        return share.turns, sent[0]

    assert run(scenario()) == (len(BODY) // PIECE, len(BODY))


def test_what_waits_when_an_answer_breaks_off_comes_before_its_end(run: Run) -> None:
    received, _, broken = run(answered(Scarce(), BODY, size=len(BODY) + 1))
    assert received == BODY
    assert broken


def test_who_is_alone_waits_for_nothing(run: Run) -> None:
    share = Free()
    received, _, _ = run(answered(share, BODY, size=len(BODY)))
    assert received == BODY
    assert not share.costs


@pytest.mark.parametrize("share", [Scarce(), Free()])
def test_a_small_answer_keeps_its_connection(run: Run, share: Scarce) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            for _ in range(2):
                await peer.answer(HEAD % 2 + b"ok")
            await peer.gone()

        serving = asyncio.ensure_future(share.serve())
        async with Peers(script) as peers:
            upstream = client(peers.url)
            for _ in range(2):
                exchange = upstream.start(share=share)
                await exchange.send(upstream.head(b"GET", b"/", [(b"host", upstream.host)]))
                assert await exchange.read() == b"ok"
                assert await exchange.read() == b""
            assert peers.accepted == 1
            await upstream.aclose()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    run(scenario())
