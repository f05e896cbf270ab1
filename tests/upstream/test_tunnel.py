"""Connections through an HTTP proxy, and proxies that refuse."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.upstream.certificates import Authority
from tests.upstream.conftest import Run
from tests.upstream.peer import Peer, Peers, attempt, client, fetch, replies

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SECRET = "test-proxy-password"


class Tunnels:
    """A proxy: answers CONNECT with `answer` and joins the two ends if that is a 200."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\nX-A: 1\r\n\r\n"):
        self.answer, self.heads = answer, list[bytes]()

    async def __call__(self, peer: Peer) -> None:
        self.heads.append(await peer.head())
        await peer.send(*(self.answer[i : i + 20] for i in range(0, len(self.answer), 20)))
        if b" 200 " not in self.answer:
            return await peer.gone()
        host, port = self.heads[-1].split()[1].split(b":")
        reader, writer = await asyncio.open_connection(host.decode(), int(port))
        await asyncio.gather(self._join(peer.reader, writer), self._join(reader, peer.writer))

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


def test_https_goes_through_a_proxy_by_connect(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        proxy = Tunnels()
        async with Peers(replies(HELLO), tls=authority.server()) as peers, Peers(proxy) as near:
            through = f"http://user:{SECRET}@127.0.0.1:{near.port}"
            upstream = client(peers.url, ssl_context=authority.trusting(), proxy=through)
            for _ in range(2):
                assert (await fetch(upstream))[1] == b"hello"
            assert near.accepted == peers.accepted == 1
            await upstream.aclose()
        (head,) = proxy.heads
        assert head == (
            b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
            b"proxy-authorization: Basic dXNlcjp0ZXN0LXByb3h5LXBhc3N3b3Jk\r\n\r\n"
        ) % (peers.port, peers.port)

    run(scenario())


def test_http_goes_through_a_proxy_in_absolute_form(run: Run) -> None:
    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(peer: Peer) -> None:
            heads.append(await peer.head())
            await peer.send(HELLO)
            await peer.gone()

        async with Peers(script) as near:
            through = f"http://user:{SECRET}@127.0.0.1:{near.port}"
            upstream = client("http://upstream.example/api", proxy=through)
            exchange = upstream.start()
            await exchange.send(
                upstream.head(b"GET", b"/v1/models?a=b", [(b"host", upstream.host)])
            )
            assert await exchange.read() == b"hello"
            await upstream.aclose()
        assert heads == [
            b"GET http://upstream.example:80/api/v1/models?a=b HTTP/1.1\r\n"
            b"host: upstream.example\r\n"
            b"proxy-authorization: Basic dXNlcjp0ZXN0LXByb3h5LXBhc3N3b3Jk\r\n\r\n"
        ]

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "user name and password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy refused CONNECT with status 403"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 20_000, "not HTTP"),
    ],
    ids=["407", "403", "no HTTP", "half a status", "endless head"],
)
def test_a_proxy_that_refuses_is_told_without_its_password(
    run: Run, answer: bytes, sentence: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        with contextlib.suppress(ConnectionError):
            await peer.send(answer)
        await peer.gone()

    async def scenario() -> str:
        async with Peers(script) as near:
            through = f"http://user:{SECRET}@127.0.0.1:{near.port}"
            return await attempt("https://127.0.0.1:9", proxy=through)

    told = run(scenario())
    assert sentence in told
    assert "through the proxy 127.0.0.1:" in told
    assert SECRET not in told


def test_a_proxy_that_hangs_up_is_told(run: Run) -> None:
    async def scenario() -> str:
        async with Peers(Peer.head) as near:  # type: ignore[arg-type]
            return await attempt("https://127.0.0.1:9", proxy=f"http://127.0.0.1:{near.port}")

    assert "not HTTP" in run(scenario())


def test_a_proxy_that_says_nothing_times_out(run: Run) -> None:
    async def scenario() -> str:
        async with Peers(Peer.gone) as near:
            return await attempt(
                "https://127.0.0.1:9", proxy=f"http://127.0.0.1:{near.port}", connect_timeout=0.05
            )

    assert "took more than 0.05 seconds" in run(scenario())
