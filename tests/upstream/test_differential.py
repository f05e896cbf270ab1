"""The same bytes to this client and to httpx: the same answer, or a refusal from both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airoxy.errors import UpstreamBroken
from tests.upstream.peer import Peer, Peers, client, drain
from tests.upstream.test_response import GOOD

#: Status, headers and body; None for a refusal.
Outcome = tuple[int, list[tuple[bytes, bytes]], bytes] | None

#: What neither may take for an answer. (Of the other wrong answers in test_answer.py httpx passes
#: some, and Debian's parser some that httpx refuses; those are decided there.)
REFUSED_BY_BOTH = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "only an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
    "a wrong chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "no colon": b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a head of a megabyte": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2**20 + b"\r\n\r\n",
}


class Bench:
    """Both clients on one loop; no TLS context is made for httpx, which would cost 20 ms each."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def both(self, data: bytes, cuts: list[int] | None = None, method: str = "GET") -> list[Any]:
        return self.runner.run(self._both(data, cuts or [], method))

    async def _both(self, data: bytes, cuts: list[int], method: str) -> list[Outcome]:
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        pieces = [data[a:b] for a, b in pairwise(edges) if b > a]

        async def script(peer: Peer) -> None:
            await peer.head()
            try:
                await peer.send(*pieces)
            except ConnectionError:
                return

        async with Peers(script) as peers:
            return [await self._ours(peers.url, method), await self._theirs(peers.url, method)]

    async def _ours(self, url: str, method: str) -> Outcome:
        upstream = client(url)
        try:
            exchange = await upstream.send(method.encode(), b"/", [(b"host", upstream.host)])
            body = await drain(exchange)
        except UpstreamBroken:
            return None
        finally:
            await upstream.aclose()
        return exchange.status, stripped(exchange.headers), body

    async def _theirs(self, url: str, method: str) -> Outcome:
        async with httpx.AsyncClient(verify=self.tls, trust_env=False) as theirs:
            try:
                async with theirs.stream(method, url + "/") as response:
                    body = b"".join([piece async for piece in response.aiter_raw()])
            except (httpx.HTTPError, ValueError):  # ValueError: of a status that httpx cannot name
                return None
            headers = [(name.lower(), value) for name, value in response.headers.raw]
            return response.status_code, stripped(headers), body


def stripped(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 strips spaces around a value, here they stay."""
    return [(name, value.strip(b" \t")) for name, value in headers]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    with bench.runner:
        yield bench


@pytest.mark.parametrize("name", GOOD)
def test_good_answers_are_the_same(bench: Bench, name: str) -> None:
    data = GOOD[name][0]
    ours, theirs = bench.both(data)
    assert ours is not None
    assert ours == theirs
    assert bench.both(data, [len(data) // 2, len(data) // 3]) == [ours, ours]


@pytest.mark.parametrize("name", REFUSED_BY_BOTH)
def test_bad_answers_are_refused_by_both(bench: Bench, name: str) -> None:
    assert bench.both(REFUSED_BY_BOTH[name]) == [None, None]


def test_answers_to_head_are_the_same(bench: Bench) -> None:
    for framing in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-A: 1"):
        ours, theirs = bench.both(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", method="HEAD")
        assert ours is not None
        assert ours == theirs


names = st.from_regex(rb"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in (b"content-length", b"transfer-encoding", b"connection")
)
values = st.from_regex(rb"([!-~]([ -~\t\x80-\xff]{0,30}[!-~])?)?", fullmatch=True)
bodies = st.binary(max_size=300) | st.sampled_from(
    [b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A valid answer in one of the three framings."""
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 401, 429, 500, 529]))
    headers = draw(st.lists(st.tuples(names, values), max_size=6))
    lines = [b"HTTP/1.1 %d %b" % (status, draw(st.sampled_from([b"OK", b"", b"Too Many"])))]
    lines += [name + b": " + value for name, value in headers]
    body = b"" if status in (204, 304) else draw(bodies)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked" and status not in (204, 304):
        lines.append(b"Transfer-Encoding: chunked")
        body = draw(chunks(body))
    at = draw(st.integers(1, len(lines)))
    lines[1:] = lines[at:] + lines[1:at]
    return b"\r\n".join([*lines, b"", b""]) + body


@st.composite
def chunks(draw: st.DrawFn, body: bytes) -> bytes:
    framed, left = b"", body
    while left:
        size = draw(st.integers(1, len(left)))
        framed += b"%x%b\r\n%b\r\n" % (size, draw(st.sampled_from([b"", b";a=b"])), left[:size])
        left = left[size:]
    return framed + b"0\r\n" + draw(st.sampled_from([b"", b"X-Sum: 1\r\n"])) + b"\r\n"


many = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@many
@given(data=answers(), cuts=st.lists(st.integers(0, 1000), max_size=4))
def test_all_valid_answers_are_the_same(bench: Bench, data: bytes, cuts: list[int]) -> None:
    ours, theirs = bench.both(data, cuts)
    assert ours is not None
    assert ours == theirs


@many
@given(
    data=answers(),
    at=st.integers(0, 1000),
    removed=st.integers(0, 3),
    added=st.binary(max_size=3),
    end=st.integers(0, 1000) | st.none(),
)
def test_mutated_answers_are_never_taken_for_different_ones(
    bench: Bench, data: bytes, at: int, removed: int, added: bytes, end: int | None
) -> None:
    at %= len(data)
    mutated = (data[:at] + added + data[at + removed :])[:end]
    ours, theirs = bench.both(mutated)
    assert ours == theirs or ours is None or theirs is None
