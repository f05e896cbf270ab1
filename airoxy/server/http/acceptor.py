"""Accepts connections on a socket at which several workers wait.

A worker pauses accept() for 1 ms after each connection, so that connections that come together
spread over the workers: the first to wake would take them all, and keep them for as long as their
clients do. This works with any listening socket, one from systemd included.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

#: Seconds between two accept(): far more than it takes another worker to wake, and far less than a
#: client notices.
PAUSE = 0.001
#: The same where descriptors or memory have run out; the client waits in the kernel's queue.
_PAUSE_AT_SHORTAGE = 0.1
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on `sock` until `close`; made within the event loop."""

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
