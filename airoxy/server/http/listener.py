"""The listening sockets of a worker, and the connections that were accepted from them."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from airoxy.server.admission import Admission, Newcomer
from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.deadline import Timeouts
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.http.server_state import ServerState
from airoxy.server.http.tls import TLSContext
from airoxy.server.turns import Turns

TIMEOUTS = Timeouts()
#: Seconds between two accept(): far more than it takes another worker to wake, and far less than a
#: client notices.
PAUSE = 0.001
#: Most connections that are accepted in one turn of the loop.
AT_ONCE = 4
#: SO_LINGER of a refused connection: a reset, after which the kernel keeps nothing of it.
_RESET = struct.pack("ii", 1, 0)
#: Seconds between two accept() where descriptors or memory have run out; clients wait in the
#: kernel's queue.
_PAUSE_AT_SHORTAGE = 0.1
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class HTTPServer:
    """`shared`: other workers accept from `sockets`, too. Closing it closes `sockets`."""

    def __init__(
        self,
        answer: Callable[[Request, Response], Coroutine[Any, Any, None]],
        sockets: Sequence[socket.socket],
        tls: TLSContext | None,
        *,
        shared: bool,
        admission: Admission | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._sockets = list(sockets)
        self._tls = tls
        self._shared = shared
        self._admission = admission or Admission()
        secure = tls is not None
        self._state = ServerState(answer, secure=secure, timeouts=TIMEOUTS, turns=turns)
        self._acceptors: list[Acceptor] = []

    def start(self) -> None:
        """Accept connections from now on; within the event loop."""
        connect, pause = partial(ClientConnection, self._state), PAUSE if self._shared else 0.0
        self._acceptors = [
            Acceptor(each, connect, self._tls, self._admission, pause) for each in self._sockets
        ]

    def close(self) -> None:
        """Accept no more, and make each connection's next answer its last. Other workers hold the
        same sockets, so no client is refused."""
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
    def connecting(self) -> bool:
        """Whether there are accepted connections without a protocol: their TLS is not up."""
        return any(acceptor.connecting for acceptor in self._acceptors)

    @property
    def handshaking(self) -> bool:
        """Whether the client of one of them has begun its handshake."""
        return any(acceptor.handshakes for acceptor in self._acceptors)

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
    """Accepts on `sock` until `close`; made within the event loop.

    Where several workers wait at the socket, each makes a `pause` of 1 ms after each connection, so
    that connections that come together spread over the workers: the first to wake would take them
    all, and keep them for as long as their clients do. This works with any listening socket, one
    from systemd included.

    In one turn of the loop a few connections are accepted, and at most one TLS handshake begins,
    once its client has sent something: a handshake takes about a millisecond, and those of many new
    clients must not delay the requests of the others.
    """

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[Newcomer], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        admission: Admission,
        pause: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._factory = factory
        self._tls = tls
        self._admission = admission
        self._pause_time = pause
        self._pause_timer: asyncio.TimerHandle | None = None
        #: Accepted connections that have no protocol yet, because of TLS.
        self.connecting: set[asyncio.Task[None]] = set()
        #: Of how many of these the client has spoken; uvloop gives each a minute then.
        self.handshakes = 0
        self._one_handshake = asyncio.Lock()
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
        self._loop.add_reader(self._sock, self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(1 if self._pause_time else AT_ONCE):
            if not self._accept():
                return
        if self._pause_time:
            self._pause(self._pause_time)

    def _accept(self) -> bool:
        """Whether there was a connection."""
        try:
            sock, client = self._sock.accept()
        except OSError as error:
            if error.errno in _SHORTAGES:
                self._pause(_PAUSE_AT_SHORTAGE)
            return False  # else another worker was faster, or the client has left
        newcomer = self._admission.admit(client[0] if client else "")
        if newcomer is None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()
            return True
        newcomer.give_way = partial(_shut_down, sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(sock, newcomer))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)
        return True

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._pause_timer = self._loop.call_later(seconds, self._listen)

    async def _connect(self, sock: socket.socket, newcomer: Newcomer) -> None:
        factory, connected = partial(self._factory, newcomer), False
        try:
            if self._tls is None:
                await self._loop.connect_accepted_socket(factory, sock)
            else:
                await self._first_word(sock)
                await self._shake_hands(factory, sock, self._tls)
            connected = True
        except OSError:
            pass  # the client has left already, or its TLS has failed
        finally:
            if not connected:
                newcomer.end()

    async def _first_word(self, sock: socket.socket) -> None:
        """Wait until the client begins its handshake. Where it does not, its connection is closed.
        Raises TimeoutError."""
        spoken: asyncio.Future[None] = self._loop.create_future()
        sock.setblocking(False)
        self._loop.add_reader(sock, _settle, spoken, None)
        timer = self._loop.call_later(TIMEOUTS.head, _settle, spoken, TimeoutError())
        try:
            await spoken
        except BaseException:
            sock.close()
            raise
        finally:
            timer.cancel()
            self._loop.remove_reader(sock)

    async def _shake_hands(
        self, factory: Callable[[], asyncio.Protocol], sock: socket.socket, tls: ssl.SSLContext
    ) -> None:
        self.handshakes += 1
        try:
            async with self._one_handshake:
                await asyncio.sleep(0)
            await self._loop.connect_accepted_socket(factory, sock, ssl=tls)
        finally:
            self.handshakes -= 1


def _settle(spoken: asyncio.Future[None], error: Exception | None) -> None:
    if spoken.done():
        return
    if error is None:
        spoken.set_result(None)
    else:
        spoken.set_exception(error)


def _shut_down(sock: socket.socket) -> bool:
    """The loop sees the end of the connection, whoever reads from it."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    return True
