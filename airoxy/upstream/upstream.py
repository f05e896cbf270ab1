"""Requests to one upstream over kept-alive HTTP/1.1 connections.

    exchange = client.start()                  # at once, opens nothing
    await exchange.send(method, target, headers, body)     # returns when the answer's head is there
    while piece := await exchange.read(): ...
    exchange.close()

The law: an exchange ends in exactly one of two ways. Read to its clean end, its connection serves
another request; ended in any other way, its connection is closed at once.

`exchange.abort(error)` may be called by anybody in every phase (connecting, sending, waiting,
reading): whoever waits in send() or read() gets `error`. So one watcher for each client is enough,
and a request needs no task of its own.
"""

from __future__ import annotations

import asyncio
import ssl

from airoxy.core.request.headers import Headers
from airoxy.errors import ConnectFailed, InvalidInput, UpstreamBroken
from airoxy.upstream.connection import Connection
from airoxy.upstream.dial import default_tls, dial
from airoxy.upstream.exchange import Body, Exchange, Resumable
from airoxy.upstream.origin import parse_origin, parse_proxy

#: Seconds for which an idle connection is kept: below the 60 s after which common load balancers
#: close theirs, so that we are mostly the first to let go.
IDLE_AGE = 55.0

#: Idle connections kept; each holds a descriptor and some 30 KiB of TLS state. More than this only
#: fall idle when a burst of parallel requests is over.
MAX_IDLE = 128


class Client:
    """All connections to one origin. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float,
        read_timeout: float,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        """Times in seconds. `proxy` is a URL (see origin.proxy_from_environ): HTTPS goes through
        it by CONNECT, plain HTTP in absolute form, as proxies expect. Raises ConfigError."""
        self._origin = parse_origin(url)
        self._proxy = parse_proxy(proxy) if proxy else None
        self._tls = (ssl_context or default_tls()) if self._origin.tls else None
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._prefix = self._origin.prefix
        self._fixed = b""
        if self._proxy is not None and self._tls is None:
            self._prefix = b"http://" + self._origin.authority + self._prefix
            if self._proxy.authorization is not None:
                self._fixed = lines((b"proxy-authorization", self._proxy.authorization))
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def host(self) -> bytes:
        """The value for the Host header."""
        return self._origin.host_header

    @property
    def open_connections(self) -> int:
        """Idle ones and those in use."""
        return len(self._open)

    def start(self, waits: Resumable | None = None) -> Exchange:
        """An exchange that has not begun, and can be aborted from now on; see Exchange."""
        return Exchange(self, waits)

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: Body = None,
        *,
        length: int | None = None,
    ) -> Exchange:
        """start() and Exchange.send() in one, for who need not abort; cancelling always works."""
        exchange = Exchange(self)
        await exchange.send(method, target, headers, body, length=length)
        return exchange

    async def aclose(self) -> None:
        """Close every connection, those in use too, and wait until they are gone."""
        loop = asyncio.get_running_loop()
        if self._closed is None:
            self._closed = loop.create_future()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self._open):
            connection.fail(UpstreamBroken("airoxy is shutting down"))
        if not self._open and not self._closed.done():
            self._closed.set_result(None)
        await asyncio.shield(self._closed)

    # For Exchange.

    def head(self, method: bytes, target: bytes, headers: Headers) -> bytes:
        """The request's head, but for its framing and its empty line. Raises InvalidInput."""
        line = method + b" " + self._prefix + target + b" HTTP/1.1"
        if b"\n" in line or b"\r" in line:
            raise _broken()
        return line + b"\r\n" + lines(*headers) + self._fixed

    def take(self) -> Connection | None:
        """The connection that was used last: the likeliest to be open and fast (LIFO)."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose exchange has ended cleanly."""
        if self._closed is not None or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(IDLE_AGE, self._sweep, connection.loop)

    async def connect(self) -> Connection:
        """A new connection. Raises ConnectFailed."""
        if self._closed is not None:
            raise _shutting_down()
        loop = asyncio.get_running_loop()

        def factory() -> Connection:
            return Connection(loop, self._read_timeout, self._forget)

        connection = await dial(
            self._origin, self._proxy, self._tls, self._connect_timeout, factory
        )
        if self._closed is not None:
            connection.abort()
            raise _shutting_down()
        if connection.usable():  # else it is forgotten already, or about to be
            self._open.add(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle too long; the oldest are at the front."""
        self._sweeper = None
        now = loop.time()
        while self._idle and self._idle[0].active_at + IDLE_AGE <= now:
            self._idle.pop(0).abort()
        if self._idle:
            self._sweeper = loop.call_at(self._idle[0].active_at + IDLE_AGE, self._sweep, loop)


def lines(*headers: tuple[bytes, bytes]) -> bytes:
    """Headers as they are sent; a line break smuggled into any of them is refused."""
    block = b"".join([b"%b: %b\r\n" % header for header in headers])
    if block.count(b"\n") != len(headers) or block.count(b"\r") != len(headers):
        raise _broken()
    return block


def _broken() -> InvalidInput:
    return InvalidInput("The request has a line break where none may be")


def _shutting_down() -> ConnectFailed:
    return ConnectFailed("airoxy is shutting down")
