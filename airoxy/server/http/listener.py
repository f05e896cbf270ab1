"""The listening sockets of a worker, and the connections that were accepted from them."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.deadline import Timeouts
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.server_state import ServerState
from airoxy.server.http.tls import TLSContext

TIMEOUTS = Timeouts()
#: Seconds between two accept(): far more than it takes another worker to wake, and far less than a
#: client notices.
PAUSE = 0.001
#: The same where descriptors or memory have run out; the client waits in the kernel's queue.
_PAUSE_AT_SHORTAGE = 0.1
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class HTTPServer:
    """`shared`: other workers accept from `sockets`, too. Closing it closes `sockets`."""

    def __init__(
        self,
        answer: Callable[[Request, Response], Awaitable[None]],
        sockets: Sequence[socket.socket],
        tls: TLSContext | None,
        *,
        shared: bool,
    ) -> None:
        self._sockets = list(sockets)
        self._tls = tls
        self._shared = shared
        self._state = ServerState(answer, secure=tls is not None, timeouts=TIMEOUTS)
        self._acceptors: list[Acceptor] = []
        self._servers: list[asyncio.Server] = []

    async def start(self, backlog: int) -> None:
        """Accept connections from now on; `backlog` is how many the kernel may hold."""
        connect, loop = partial(ClientConnection, self._state), asyncio.get_running_loop()
        if self._shared:
            self._acceptors = [Acceptor(each, connect, self._tls) for each in self._sockets]
            return
        for each in self._sockets:
            server = await loop.create_server(connect, sock=each, ssl=self._tls, backlog=backlog)
            self._servers.append(server)

    def close(self) -> None:
        """Accept no more, and make each connection's next answer its last. Other workers hold the
        same sockets, so no client is refused."""
        for server in self._servers:
            server.close()
        for acceptor in self._acceptors:
            acceptor.close()
        for each in self._sockets:
            each.close()
        self._state.leaving = True

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return len(self._state.runners)

    @property
    def connections(self) -> int:
        """How many connections are open, those in a TLS handshake aside."""
        return len(self._state.connections)

    @property
    def handshaking(self) -> bool:
        """Whether there are accepted connections whose TLS handshake is not over."""
        return bool(self._tls and self._tls.handshakes) or any(
            acceptor.connecting for acceptor in self._acceptors
        )

    def expire_idle(self, seconds: float) -> None:
        """Close each connection once it has been idle for so long."""
        for connection in tuple(self._state.connections):
            connection.expire_in(seconds)

    def abort(self) -> None:
        """Close all connections at once, and those too that are still to be accepted."""
        self._state.ended = True
        for connection in tuple(self._state.connections):
            connection.transport.abort()

    def cancel(self) -> None:
        """Cancel what still answers."""
        for runner in tuple(self._state.runners):
            runner.cancel()


class Acceptor:
    """Accepts on `sock`, at which several workers wait, until `close`; made within the event loop.

    A worker pauses accept() for 1 ms after each connection, so that connections that come together
    spread over the workers: the first to wake would take them all, and keep them for as long as
    their clients do. This works with any listening socket, one from systemd included.
    """

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._factory = factory
        self._tls = tls
        self._pause_timer: asyncio.TimerHandle | None = None
        #: Accepted connections that have no protocol yet, because of TLS.
        self.connecting: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more; the socket stays open."""
        if self._pause_timer is not None:
            self._pause_timer.cancel()
        else:
            self._loop.remove_reader(self._sock)

    def _listen(self) -> None:
        self._pause_timer = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno in _SHORTAGES:
                self._pause(_PAUSE_AT_SHORTAGE)
            return  # else another worker was faster, or the client has left
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(sock))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)
        self._pause(PAUSE)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._pause_timer = self._loop.call_later(seconds, self._listen)

    async def _connect(self, sock: socket.socket) -> None:
        with suppress(OSError):  # the client has left already, or its TLS has failed
            await self._loop.connect_accepted_socket(self._factory, sock, ssl=self._tls)
