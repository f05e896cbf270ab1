"""A connection that a worker accepts after it has ended is closed, and not answered."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from airoxy.server.http.listener import HTTPServer


async def _answer(_: object, response: Any) -> None:
    response.begin(200, [(b"content-length", b"0")])
    response.write(b"", more=False)


async def _told(listening: socket.socket, *, shared: bool, ended: bool) -> bytes:
    """What a client gets that was waiting when the worker began to accept."""
    server = HTTPServer(_answer, [listening], None, shared=shared)
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    if ended:
        server.abort()
    server.start()
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        server.close()


@pytest.mark.parametrize("shared", [False, True])
def test_a_connection_that_is_accepted_late_is_closed_unanswered(shared: bool) -> None:
    for ended in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            told = asyncio.run(_told(listening, shared=shared, ended=ended))
        assert told.startswith(b"HTTP/1.1 200") is not ended
