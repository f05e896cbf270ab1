"""Takes the clients' connections where several workers wait at one socket.

The law: who has taken a connection leaves the next one to the others for a moment. Else the first
to wake takes all that have come together, and keeps them for as long as their clients do. It needs
nothing but the socket, so it holds for one that systemd made, too.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

#: How long the others have (seconds): far more than waking takes, far less than anybody notices.
REST = 0.001
#: A client that comes when there are no descriptors waits in the kernel's queue (seconds).
_SHORTAGE = 0.1
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Takes connections from `sock` until `close`; made within the event loop."""

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
        self._resting: asyncio.TimerHandle | None = None
        #: Connections that are taken and not made yet.
        self.welcomes: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more; the socket stays open."""
        if self._resting is not None:
            self._resting.cancel()
        else:
            self._loop.remove_reader(self._sock)

    def _listen(self) -> None:
        self._resting = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno in _SHORT:
                self._rest(_SHORTAGE)
            return  # else another worker was faster, or the client has left
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        welcome = self._loop.create_task(self._welcome(sock))
        self.welcomes.add(welcome)
        welcome.add_done_callback(self.welcomes.discard)
        self._rest(REST)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._resting = self._loop.call_later(seconds, self._listen)

    async def _welcome(self, sock: socket.socket) -> None:
        with suppress(OSError):  # it has left already, or its TLS has failed
            await self._loop.connect_accepted_socket(self._factory, sock, ssl=self._tls)
