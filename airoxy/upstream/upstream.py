"""The API server behind airoxy: requests to one origin over kept-alive HTTP/1.1 connections.

    exchange = upstream.start()                   # opens nothing yet
    await exchange.send(head, body)               # returns when the head of the answer is there
    while piece := await exchange.read(): ...
    exchange.close()

`exchange.abort(error)` may be called by anybody in every phase (connecting, sending, waiting,
reading): the coroutine that waits in send() or read() gets `error`. So one watcher for each client
is enough, and a request needs no task of its own.
"""

from __future__ import annotations

import ssl

from airoxy.core.request.headers import Headers
from airoxy.errors import InvalidInput
from airoxy.upstream.connection import TurnShare
from airoxy.upstream.connection_pool import IDLE_AGE, MAX_IDLE, ConnectionPool
from airoxy.upstream.dial import Dialer, default_tls
from airoxy.upstream.exchange import Body, Exchange, Resumable
from airoxy.upstream.origin import parse_origin, parse_proxy


class Upstream:
    """Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float,
        read_timeout: float,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        idle_age: float = IDLE_AGE,
        max_idle: int = MAX_IDLE,
    ) -> None:
        """Times in seconds. `proxy` is a URL (see origin.proxy_for): HTTPS goes through
        it by CONNECT, plain HTTP in absolute form, as proxies expect. Raises ConfigError."""
        origin = parse_origin(url)
        http_proxy = parse_proxy(proxy) if proxy else None
        tls = (ssl_context or default_tls()) if origin.tls else None
        #: The value for the Host header.
        self.host = origin.host_header
        self._prefix = origin.prefix
        self._fixed = b""
        if http_proxy is not None and tls is None:
            self._prefix = b"http://" + origin.authority + origin.prefix
            if http_proxy.authorization is not None:
                self._fixed = lines((b"proxy-authorization", http_proxy.authorization))
        self._pool = ConnectionPool(
            Dialer(origin, http_proxy, tls, connect_timeout),
            read_timeout,
            idle_age=idle_age,
            max_idle=max_idle,
        )

    @property
    def open_connections(self) -> int:
        """Idle ones and those in use."""
        return self._pool.open

    def head(self, method: bytes, target: bytes, headers: Headers) -> bytes:
        """The head of a request, without its framing and its empty line; `headers` begin with
        host and have no framing. Raises InvalidInput."""
        line = method + b" " + self._prefix + target + b" HTTP/1.1"
        if b"\n" in line or b"\r" in line:
            raise _line_break()
        return line + b"\r\n" + lines(*headers) + self._fixed

    def start(self, driver: Resumable | None = None, share: TurnShare | None = None) -> Exchange:
        """An exchange that has not begun, and can be aborted from now on; see Exchange."""
        return Exchange(self._pool, driver, share)

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: Body = None,
        *,
        length: int | None = None,
    ) -> Exchange:
        """head(), start() and Exchange.send() in one, for callers that need not abort; cancelling
        always works."""
        exchange = self.start()
        await exchange.send(self.head(method, target, headers), body, length=length)
        return exchange

    async def aclose(self) -> None:
        """Close every connection, those in use too, and wait until they are gone."""
        await self._pool.aclose()


def lines(*headers: tuple[bytes, bytes]) -> bytes:
    """Headers as they are sent; a line break smuggled into any of them is refused."""
    block = b"".join([b"%b: %b\r\n" % header for header in headers])
    if block.count(b"\n") != len(headers) or block.count(b"\r") != len(headers):
        raise _line_break()
    return block


def _line_break() -> InvalidInput:
    return InvalidInput("The request has a line break where none may be")
