"""An ASGI application behind our connections: Falcon, for all that is not the API.

The law: nothing here is fast; it is for small answers. Bodies are collected, answers may stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from airoxy.server.http.request import ClientLeft, Request

Message = dict[str, Any]
Asgi = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


def answering(app: Asgi) -> Callable[[Request], Awaitable[None]]:
    """`app` as what answers a request."""

    async def answer(request: Request) -> None:
        heard = False

        async def receive() -> Message:
            nonlocal heard
            try:
                if not heard:
                    heard = True
                    return {"type": "http.request", "body": await request.body()}
                await request.until_left()
            except ClientLeft:
                pass
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await request.drain()
            if request.left:
                return
            if message["type"] == "http.response.start":
                request.begin(message["status"], list(message.get("headers", ())))
            else:
                request.write(message.get("body", b""), more=message.get("more_body", False))

        # Perhaps it asks for the task that it is run by.
        await asyncio.ensure_future(app(_scope(request), receive, send))

    return answer


def _scope(request: Request) -> Message:
    head = request.head
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.0" if head.is_http_1_0 else "1.1",
        "method": head.method,
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "server": None,
        "client": request.client,
    }
