"""One request and its answer, on one connection.

Invariant: an exchange ends in exactly one of two ways. Read to its clean end, its connection serves
another request; ended in any other way, its connection is closed at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from types import coroutine
from typing import Protocol

from airoxy.core.request.headers import Headers
from airoxy.errors import UpstreamBroken, UpstreamTimeout
from airoxy.upstream.connection import TurnShare, UpstreamConnection
from airoxy.upstream.connection_pool import ConnectionPool
from airoxy.upstream.response import UpstreamResponse
from airoxy.upstream.upload import PIECE, pump_bytes, pump_iterator

Body = bytes | bytearray | AsyncIterator[bytes] | None

#: What is yielded to whoever is Resumable.
PAUSED = object()


class Resumable(Protocol):
    """What drives a coroutine and is told itself when it can go on."""

    def resume(self) -> None:
        """At once, within the callback that brought the news."""


class Exchange:
    """One request and its answer. `driver` resumes the coroutine that waits for it, if that is not
    a task; `share` says how much of the answer may be looked at in one turn of the loop.

    `status` and `headers` (names in lower case, values as they came, order and duplicates kept)
    are there once send() has returned, and `named`, the same by their names.
    """

    __slots__ = (
        "_answer", "_connection", "_driver", "_error", "_paused", "_pool", "_share", "_waiter",
        "headers", "named", "status",
    )  # fmt: skip

    headers: Headers
    named: dict[bytes, bytes]

    def __init__(
        self,
        pool: ConnectionPool,
        driver: Resumable | None = None,
        share: TurnShare | None = None,
    ) -> None:
        self.status = 0
        self._pool = pool
        self._connection: UpstreamConnection | None = None
        self._answer: UpstreamResponse | None = None
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._driver = driver
        self._share = share
        self._paused = False

    @property
    def complete(self) -> bool:
        """All of the answer has arrived, so that read() will not wait."""
        return self._answer is not None and self._answer.complete

    @property
    def ready(self) -> bool:
        """read() will not wait."""
        answer = self._answer
        return answer is not None and (answer.size > 0 or answer.complete)

    async def send(
        self, head: bytes, body: Body = None, *, length: int | None = None, once: bool = False
    ) -> None:
        """Send the request and wait for the head of the answer.

        `head` is Upstream.head()'s. A bytearray must not change until the answer's head is there.
        An iterator is sent with content-length if `length` (bytes) is given, else chunked, and
        always over a fresh connection, because it could not be repeated; so is what must happen
        `once`. Anything else is repeated once, unnoticed, if a kept-alive connection turns out to
        have been closed before any byte of the answer.

        Raises ConnectFailed, UpstreamTimeout, UpstreamBroken, what the iterator raises, and
        InvalidInput if the iterator's length is not `length`.
        """
        if self._error is not None:
            raise self._error
        if isinstance(body, (bytes, bytearray)):
            head, repeatable = b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), not once
        else:
            head, repeatable = _framed(head, body, length), not once and body is None
        try:
            connection = self._pool.take() if repeatable else None
            if connection is None or not await self._attempt(connection, head, body, length):
                connection = await self._dial()
                if not await self._attempt(connection, head, body, length):
                    raise connection.fault or UpstreamBroken("The upstream broke off")
        except BaseException:
            self._drop()
            raise

    async def peek(self, enough: int, seconds: float) -> bytes:
        """What has arrived of the body, which stays to be read: as soon as it is `enough` bytes,
        or no more can come, or so many seconds have passed."""
        answer = self._answer
        if answer is not None and answer.size < enough and not answer.complete:
            await self._wait_for(answer, enough, seconds)
        return self.arrived()

    def arrived(self) -> bytes:
        """What has arrived of the body by now, and stays to be read."""
        return self._answer.look() if self._answer is not None else b""

    async def read(self) -> bytes:
        """All of the body that has arrived since the last call, at least a byte; b"" at the end.

        Raises UpstreamBroken, UpstreamTimeout, or what abort() was given.
        """
        answer = self._answer
        if answer is None:
            raise RuntimeError("read() before send()")
        while self._error is None:
            if answer.size:
                data = answer.take()
                if answer.complete:
                    self._end()
                elif (connection := self._connection) is not None and connection.read_paused:
                    connection.resume()
                return data
            if answer.complete:
                self._end()
                return b""
            connection = self._connection
            if connection is None:
                raise RuntimeError("read() after send() has failed")
            if connection.fault is not None:
                self._drop()
                self._error = connection.fault
                break
            try:
                await self._wait()
            except BaseException:
                self.abort()
                raise
        raise self._error

    def abort(self, error: BaseException | None = None) -> None:
        """Close the connection at once; whoever waits in send() or read() gets `error` (default:
        UpstreamBroken). Does nothing to an exchange that has ended."""
        if self.complete and self._connection is None:
            return
        if self._error is None:
            self._error = error or UpstreamBroken("The request was broken off")
        self._drop()
        self._wake()

    def close(self) -> None:
        """Give the connection back if the answer has arrived to its end, else abort()."""
        if (answer := self._answer) is None or not answer.complete:
            self.abort()
        elif self._connection is not None:
            self._end()

    def _end(self) -> None:
        """The answer is complete."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            if connection.end():
                self._pool.give_back(connection)

    # Steps of send() and read().

    async def _attempt(
        self, connection: UpstreamConnection, head: bytes, body: Body, length: int | None
    ) -> bool:
        """True when the head of the answer is there, False if the connection was dead before."""
        answer = UpstreamResponse(bodiless=head.startswith(b"HEAD "))
        self._connection = connection
        self._answer = answer
        connection.begin(answer, self._wake, self._share)
        if body is None:
            connection.write(head)
            connection.sent = True
        elif isinstance(body, (bytes, bytearray)) and len(body) <= PIECE:
            # A copy costs less than what the event loop does about two pieces.
            connection.write(head + body)
            connection.sent = True
        else:
            connection.write(head)
            await self._upload(connection, answer, body, length)
        while not answer.started:
            if self._error is not None:
                raise self._error
            if connection.fault is not None:
                if answer.heard or isinstance(connection.fault, UpstreamTimeout):
                    raise connection.fault
                connection.drop()
                return False
            await self._wait()
        self.status, self.headers, self.named = answer.status, answer.headers, answer.named
        return True

    async def _upload(
        self,
        connection: UpstreamConnection,
        answer: UpstreamResponse,
        body: bytes | bytearray | AsyncIterator[bytes],
        length: int | None,
    ) -> None:
        """Send a large body in pieces until it is out, or an answer or a fault makes it futile."""
        if isinstance(body, (bytes, bytearray)):
            work = pump_bytes(connection, body, self._share)
        else:
            work = pump_iterator(connection, body, length)
        pump = asyncio.get_running_loop().create_task(work)
        pump.add_done_callback(lambda _: self._wake())
        failure: BaseException | None = None
        try:
            while not pump.done() and not answer.started and connection.fault is None:
                if self._error is not None:
                    raise self._error
                await self._wait()
        finally:
            if not pump.done():
                pump.cancel()
                await asyncio.wait((pump,))
            if not pump.cancelled():
                failure = pump.exception()
        if failure is not None and not answer.started:
            raise failure

    async def _dial(self) -> UpstreamConnection:
        """Connect in a task, so that abort() need not wait for the network."""
        task = asyncio.get_running_loop().create_task(self._pool.connect())
        task.add_done_callback(lambda _: self._wake())
        try:
            while not task.done():
                if self._error is not None:
                    raise self._error
                await self._wait()
            if self._error is not None:
                raise self._error
            return task.result()
        except BaseException:
            task.cancel()
            task.add_done_callback(_close_late)
            raise

    async def _wait_for(self, answer: UpstreamResponse, enough: int, seconds: float) -> None:
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            self._wake()

        timer = asyncio.get_running_loop().call_later(seconds, give_up)
        try:
            while answer.size < enough and not (answer.complete or late):
                connection = self._connection
                if self._error is not None:
                    raise self._error
                if connection is None or connection.fault is not None:
                    return  # read() tells
                await self._wait()
        finally:
            timer.cancel()

    def _drop(self) -> None:
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.drop()

    @coroutine
    def _wait(self) -> Generator[object, None, None]:
        if self._driver is None:
            self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
            return
        self._paused = True
        try:
            yield PAUSED
        finally:
            self._paused = False

    def _wake(self) -> None:
        if self._paused and self._driver is not None:
            self._paused = False
            self._driver.resume()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)


def _framed(head: bytes, body: AsyncIterator[bytes] | None, length: int | None) -> bytes:
    if body is None:
        if not head.startswith((b"POST ", b"PUT ", b"PATCH ")):
            return head + b"\r\n"
        length = 0
    if length is None:
        return head + b"transfer-encoding: chunked\r\n\r\n"
    return head + b"content-length: %d\r\n\r\n" % length


def _close_late(task: asyncio.Task[UpstreamConnection]) -> None:
    """Of a connection that nobody wants any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
