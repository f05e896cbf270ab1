"""An upstream that is a script: it reads and writes exactly the bytes a test chose.

async with Peers(first, second) as peers:      # one coroutine for each connection, in turn
    …                                          # use peers.url
# leaving waits for the scripts; what fails in one fails the test
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest

from airoxy.errors import ConnectFailed
from airoxy.upstream.exchange import Exchange
from airoxy.upstream.upstream import Upstream
from tests.ports import free_port

Script = Callable[["Peer"], Awaitable[Any]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def head(self) -> bytes:
        """The next request's head, with the empty line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> tuple[bytes, bytes]:
        """The next request: its head and its body, chunks taken apart."""
        head = await self.head()
        if b"transfer-encoding: chunked" in head:
            return head, await self._chunks()
        length = re.search(rb"content-length: (\d+)", head)
        return head, await self.reader.readexactly(int(length[1]) if length else 0)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def send(self, *pieces: bytes) -> None:
        """Each piece in a packet of its own, as far as the kernel lets us. Raises ConnectionError
        once the client has closed, which asyncio's TLS would pass over in silence."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)
            if self.writer.is_closing() or self.reader.at_eof():
                raise ConnectionResetError("the client has closed")

    async def answer(self, *pieces: bytes) -> None:
        """Take a request, then send."""
        await self.request()
        await self.send(*pieces)

    async def gone(self) -> None:
        """Wait until the client has closed; what it still sends is dropped."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close so that the client gets a RST and no FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Peers:
    """A listening socket; connection number n runs script number n, later ones the last."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts, self._tls = scripts, tls
        self._running: list[asyncio.Task[None]] = []
        self.accepted = 0
        self.port = free_port()  # and nobody else's when it listens no longer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls, limit=2**22
        )
        return self

    def stop_listening(self) -> None:
        """New connections are refused from now on; those that are open stay."""
        self._server.close()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        self._server.close()
        try:
            if error is None:
                await asyncio.gather(*self._running)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
        self.accepted += 1
        self._running.append(asyncio.create_task(self._serve(script, Peer(reader, writer))))

    async def _serve(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        finally:
            peer.writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await peer.writer.wait_closed()


def replies(*pieces: bytes) -> Script:
    """Answers every request alike, until the client goes."""

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await peer.answer(*pieces)

    return script


def once(*pieces: bytes) -> Script:
    """Answers one request, then closes."""

    async def script(peer: Peer) -> None:
        await peer.answer(*pieces)

    return script


def client(url: str, **settings: Any) -> Upstream:
    return Upstream(url, **{"connect_timeout": 20.0, "read_timeout": 20.0} | settings)


async def fetch(
    client: Upstream, method: bytes = b"GET", target: bytes = b"/", body: Any = None, **more: Any
) -> tuple[Exchange, bytes]:
    """One exchange, read to its end."""
    exchange = client.start()
    await exchange.send(client.head(method, target, [(b"host", client.host)]), body, **more)
    return exchange, await drain(exchange)


async def attempt(url: str, **settings: Any) -> str:
    """What a request fails with that finds no connection."""
    upstream = client(url, **settings)
    with pytest.raises(ConnectFailed) as caught:
        await fetch(upstream)
    assert upstream.open_connections == 0
    await upstream.aclose()
    return str(caught.value)


async def drain(exchange: Exchange) -> bytes:
    body = b""
    while piece := await exchange.read():
        body += piece
    return body


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop work until `condition` holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)
