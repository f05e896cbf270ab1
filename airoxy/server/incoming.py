"""What the client sends: its body, collected or streamed through, and the news that it has left.

The law: a body is held in memory once. Small ones stay the bytes that uvicorn gave; what is larger
than STREAM_ABOVE at an upload endpoint is never collected.

That the client has left is told by its connection. A task that waits for it at `receive` would cost
a fifth of a request; so there is one only where more of the body may come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from airoxy.core.resources import STREAM_ABOVE, is_upload, limit_for
from airoxy.errors import InvalidInput, TooLarge
from airoxy.server.connection import SCOPE_KEY, Connection
from airoxy.upstream.exchange import Exchange

Receive = Callable[[], Awaitable[Any]]


class ClientLeft(Exception):
    """The client has closed its connection; nobody's fault, and nobody is to be answered."""


class Incoming:
    """One request's body and the watch over its client; `scope` is uvicorn's."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self._receive = receive
        self._path: str = scope["path"]
        self.length = _content_length(scope["headers"])
        self._connection: Connection | None = scope.get(SCOPE_KEY)
        self._ended = False
        self._watcher: asyncio.Task[None] | None = None
        self._exchange: Exchange | None = None
        self.left = False
        # What is below this is below all limits, and most bodies are.
        if self.length is not None and self.length > STREAM_ABOVE and self.length > self._limit:
            raise self._too_large()
        if self._connection is not None:
            self._connection.on_left = self._on_left

    async def body(self) -> bytes | bytearray | AsyncIterator[bytes]:
        """All of it, or an iterator over what is too large. Raises TooLarge, ClientLeft."""
        piece = await self._piece()
        if self._ended:
            return piece
        limit, streams, collected = self._limit, is_upload(self._path), bytearray(piece)
        while not self._ended:
            if streams and max(len(collected), self.length or 0) > STREAM_ABOVE:
                return self._rest(collected)
            collected += await self._piece()
            if len(collected) > limit:
                raise self._too_large()
        return collected

    async def _rest(self, collected: bytearray) -> AsyncIterator[bytes]:
        limit, total = self._limit, len(collected)
        yield bytes(collected)
        collected.clear()
        while not self._ended:
            piece = await self._piece()
            total += len(piece)
            if total > limit:
                raise self._too_large()
            yield piece

    async def _piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = True
            raise ClientLeft
        self._ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    def watch(self, exchange: Exchange, *, reading: bool = False) -> None:
        """From now on the client's leaving aborts `exchange`, whatever it is waiting for; while
        it is still `reading` the body through us, it finds out by itself. Raises ClientLeft."""
        if self.left:
            raise ClientLeft
        self._exchange = exchange
        told = self._ended and self._connection is not None
        if not (told or reading or self._watcher):
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        # An early answer may leave pieces of the body behind; they are let go here.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._on_left()

    def _on_left(self) -> None:
        self.left = True
        if self._exchange is not None:
            self._exchange.abort(ClientLeft())

    def close(self) -> None:
        """The answer is given: there is nothing left to abort."""
        self._exchange = None
        if self._connection is not None:
            self._connection.on_left = None
        if self._watcher is not None:
            self._watcher.cancel()

    @property
    def _limit(self) -> int:
        return limit_for(self._path)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"Request exceeds the maximum size of {self._limit // (1024 * 1024)} MB.")


def _content_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    values = [value.strip() for name, value in headers if name == b"content-length"]
    if not values:
        return None
    value = values[0]
    if not value.isdigit() or values.count(value) < len(values):
        raise InvalidInput("Invalid Content-Length.", headers=(("connection", "close"),))
    return int(value)
