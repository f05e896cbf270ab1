"""A client's connection without a socket: bytes in, what the application was asked, bytes out."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any
from unittest import mock

from airoxy.server.http.connection import ClientConnection
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.http.response import Response
from airoxy.server.http.server_state import ServerState

#: A descriptor at which nothing ever arrives.
_SILENT = os.eventfd(0)

Asked = tuple[str, bytes, tuple[tuple[bytes, bytes], ...], bytes]


class Transport(asyncio.Transport):
    """Takes all that is written, and remembers whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = self.ended = False
        self.written = b""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever left to be written."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        where = ("127.0.0.1", 1)
        sock = mock.Mock(family=socket.AF_INET, fileno=lambda: _SILENT)
        return {"socket": sock, "sockname": where, "peername": where}.get(name, default)

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


async def conversation(pieces: list[bytes]) -> tuple[list[Asked], list[bytes], bool]:
    """What the application was asked whole, the first lines of all answers, and whether the
    connection was closed in the end."""
    asked: list[Asked] = []

    async def answer(request: Request, response: Response) -> None:
        head = request.head
        try:
            body = bytes(await request.body())
        except ClientLeft:
            return
        asked.append((head.method, head.raw_path, tuple(head.headers), body))
        response.begin(200, [])
        response.write(b"", more=False)

    state = ServerState(answer)
    connection = ClientConnection(state)
    transport = Transport()
    connection.connection_made(transport)
    for piece in [piece for piece in pieces if piece]:
        if not transport.closed:
            connection.data_received(piece)
        for _ in range(40):
            await asyncio.sleep(0)
    while state.runners and not transport.closed:
        tasks = len(state.runners)
        for _ in range(40):
            await asyncio.sleep(0)
        if len(state.runners) == tasks:
            break
    connection.connection_lost(None)
    for _ in range(40):
        await asyncio.sleep(0)
    assert not state.runners
    lines = [line for line in transport.written.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return asked, lines, transport.closed or transport.ended
