"""Opening a connection to the origin: name look-up, TCP, proxy, TLS, under one time limit.

Invariant: whatever goes wrong becomes ConnectFailed with a sentence that says what to look at, and
leaves no socket open.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from airoxy.errors import ConnectFailed, ConnectTimeout
from airoxy.upstream.connection import UpstreamConnection
from airoxy.upstream.origin import HTTPProxy, Origin

#: Seconds before the next address is tried beside one that does not answer (RFC 8305, section 5).
_NEXT_ADDRESS_AFTER = 0.25

#: Silent streams last for minutes: keep NAT entries alive and notice a peer that is gone.
_SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)

#: A proxy's answer to CONNECT is a few lines.
_TUNNEL_HEAD_LIMIT = 16 * 1024
_TUNNEL_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")

#: OpenSSL's X509_V_ERR_* codes that an operator can do something about.
_CERTIFICATE_FAULTS = {
    9: "is not valid yet (is this machine's clock right?)",
    10: "has expired (or this machine's clock is wrong)",
    18: "is signed by itself and by no authority that this system trusts",
    19: "is signed by an authority that this system does not trust",
    20: "is signed by an authority that this system does not know (see update-ca-certificates)",
    21: "comes without the certificates that lead to a trusted authority",
    62: "is for another host name",
    64: "is for another IP address",
}

_Address = tuple[Any, ...]  # what getaddrinfo gives: family, type, protocol, name, address


def default_tls() -> ssl.SSLContext:
    """The system's authorities, host names verified, HTTP/1.1 only."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to `origin`; name look-up, TCP, proxy and TLS take `timeout` seconds at
    most together."""

    origin: Origin
    proxy: HTTPProxy | None
    tls: ssl.SSLContext | None
    timeout: float

    async def dial(self, factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        """Raises ConnectFailed."""
        where = self.origin.authority.decode("ascii")
        if self.proxy is not None:
            where += f" through the proxy {self.proxy.host}:{self.proxy.port}"
        try:
            async with asyncio.timeout(self.timeout) as clock:
                return await self._dial(factory)
        except TimeoutError as error:
            if clock.expired():
                seconds = f"{self.timeout:g} seconds"
                raise ConnectTimeout(f"Connecting to {where} took more than {seconds}") from None
            raise ConnectFailed(f"Cannot connect to {where}: {_reason(error)}") from error
        except ssl.SSLError as error:
            raise ConnectFailed(f"TLS with {where} failed: {_tls_reason(error)}") from error
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"Cannot connect to {where}: {_reason(error)}") from error

    async def _dial(self, factory: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        near: Origin | HTTPProxy = self.proxy or self.origin
        sock = await _connect(loop, near.host, near.port)
        try:
            if self.proxy is not None and self.tls is not None:
                await _tunnel(loop, sock, self.origin, self.proxy)
            _, connection = await loop.create_connection(
                factory,
                sock=sock,
                ssl=self.tls,
                server_hostname=self.origin.host if self.tls is not None else None,
                ssl_handshake_timeout=self.timeout if self.tls is not None else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection


async def _connect(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """The first address that answers, tried in turn but not for ever (RFC 8305): a machine whose
    IPv6 leads nowhere is common, and must not cost the whole time limit."""
    addresses = _interleaved(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    waiting = {loop.create_task(_attempt(loop, addresses.pop(0)))}
    failures: list[BaseException] = []
    try:
        while waiting:
            patience = _NEXT_ADDRESS_AFTER if addresses else None
            done, waiting = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            winner = next((task for task in done if task.exception() is None), None)
            if winner is not None:
                done.discard(winner)
                waiting |= done
                return winner.result()
            failures += [error for task in done if (error := task.exception()) is not None]
            if addresses:
                waiting.add(loop.create_task(_attempt(loop, addresses.pop(0))))
        raise failures[0]
    finally:
        for task in waiting:
            task.cancel()
            task.add_done_callback(_close_late)


async def _attempt(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, kind, protocol, _, name = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in _SOCKET_OPTIONS:
            sock.setsockopt(*option)
        await loop.sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _interleaved(addresses: list[_Address]) -> list[_Address]:
    """The resolver's order, but the families in turn."""
    first = [entry for entry in addresses if entry[0] == addresses[0][0]]
    other = [entry for entry in addresses if entry[0] != addresses[0][0]]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [entry for entry in pairs if entry is not None]


async def _tunnel(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, origin: Origin, proxy: HTTPProxy
) -> None:
    """Ask for a tunnel with CONNECT. The origin says nothing before it is spoken to, so all that
    arrives here is the proxy's."""
    lines = [b"CONNECT %b HTTP/1.1" % origin.authority, b"host: " + origin.authority]
    if proxy.authorization is not None:
        lines.append(b"proxy-authorization: " + proxy.authorization)
    await loop.sock_sendall(sock, b"\r\n".join((*lines, b"", b"")))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(sock, 4096)
        head += piece
        if not piece or len(head) > _TUNNEL_HEAD_LIMIT:
            raise ConnectionError("the proxy's answer to CONNECT is not HTTP")
    status = _TUNNEL_STATUS.match(head)
    if status is None:
        raise ConnectionError("the proxy's answer to CONNECT is not HTTP")
    if status[1] == b"407":
        raise ConnectionError("the proxy wants another user name and password (407)")
    if not status[1].startswith(b"2"):
        raise ConnectionError(f"the proxy refused CONNECT with status {status[1].decode()}")


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _CERTIFICATE_FAULTS.get(error.verify_code)
        return f"its certificate {fault or 'is not accepted: ' + error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved ({error.strerror})"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()  # both loops put addresses around these words
    return str(error) or type(error).__name__
