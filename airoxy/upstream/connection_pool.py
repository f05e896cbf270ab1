"""The connections to one origin: those in use, and the idle ones that are kept for a while."""

from __future__ import annotations

import asyncio

from airoxy.errors import ConnectFailed, UpstreamBroken
from airoxy.upstream.connection import UpstreamConnection
from airoxy.upstream.dial import Dialer

#: Seconds for which an idle connection is kept: below the 60 s after which common load balancers
#: close theirs, so that mostly airoxy is the first to let go.
IDLE_AGE = 55.0

#: Idle connections kept; each holds a descriptor and some 30 KiB of TLS state. More than this only
#: fall idle when a burst of parallel requests is over.
MAX_IDLE = 128


class ConnectionPool:
    """Belongs to the event loop in which it is first used; `read_timeout` in seconds."""

    def __init__(
        self,
        dialer: Dialer,
        read_timeout: float,
        *,
        idle_age: float = IDLE_AGE,
        max_idle: int = MAX_IDLE,
    ) -> None:
        self._dialer = dialer
        self._read_timeout = read_timeout
        self._idle_age = idle_age
        self._max_idle = max_idle
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def open(self) -> int:
        """How many there are, idle ones and those in use."""
        return len(self._open)

    def take(self) -> UpstreamConnection | None:
        """The idle connection that was used last: the likeliest to be open and fast (LIFO)."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
        return None

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose exchange has ended cleanly."""
        if self._closed is not None or len(self._idle) >= self._max_idle:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(self._idle_age, self._sweep, connection.loop)

    async def connect(self) -> UpstreamConnection:
        """A new connection. Raises ConnectFailed."""
        if self._closed is not None:
            raise _shutting_down()
        loop = asyncio.get_running_loop()

        def factory() -> UpstreamConnection:
            return UpstreamConnection(loop, self._read_timeout, self._forget)

        connection = await self._dialer.dial(factory)
        if self._closed is not None:
            connection.abort()
            raise _shutting_down()
        if connection.usable():  # else it is forgotten already, or about to be
            self._open.add(connection)
        return connection

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

    def _forget(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle too long; the oldest are at the front."""
        self._sweeper = None
        now = loop.time()
        while self._idle and self._idle[0].active_at + self._idle_age <= now:
            self._idle.pop(0).abort()
        if self._idle:
            due = self._idle[0].active_at + self._idle_age
            self._sweeper = loop.call_at(due, self._sweep, loop)


def _shutting_down() -> ConnectFailed:
    return ConnectFailed("airoxy is shutting down")
