"""Answers to HTTP/1.0, which knows no chunks: a body of unknown length ends with its connection.

The law: only a complete answer ends that way; one that breaks off is reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

App = Callable[..., Awaitable[None]]


def answering_http_1_0(app: App) -> App:
    """`app` for a request of HTTP/1.0; uvicorn would answer it in chunks."""

    async def answering(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        cycle: RequestResponseCycle = send.__self__
        framed = True

        async def send_unframed(message: dict[str, Any]) -> None:
            nonlocal framed
            if message["type"] == "http.response.start":
                framed = any(name == b"content-length" for name, _ in message["headers"])
                if not framed:
                    cycle.chunked_encoding = False
            elif not framed:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unframed)
        if not framed and not cycle.response_complete:
            _reset(cycle.transport)

    return answering


def _reset(transport: asyncio.Transport) -> None:
    """To close without lingering is to reset; the last bytes may be lost with it."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
