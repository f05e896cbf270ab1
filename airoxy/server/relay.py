"""An upstream answer on its way to the client, piece by piece, past the counting.

The law: a piece goes to the client first and is counted then; an answer that breaks off is never
ended as if it were complete.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from airoxy.core.headers import Headers, to_client
from airoxy.errors import UpstreamBroken
from airoxy.server.decode import Decoder
from airoxy.server.record import Record

#: Answers that are read whole before they are passed on are documents, not downloads (bytes).
HOLD_LIMIT = 1024 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Answer(Protocol):
    """A live upstream response, or one that was read already."""

    status: int
    headers: Headers

    @property
    def complete(self) -> bool: ...
    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class Held:
    """An answer that was read whole before it may go to the client."""

    complete = True

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    async def read(self) -> bytes:
        return self.body

    def close(self) -> None:
        """Its connection was given back when it was read."""

    def text(self) -> bytes:
        """The body without its content-encoding."""
        encoding = dict(self.headers).get(b"content-encoding")
        return Decoder(encoding.decode("latin-1")).decode(self.body) if encoding else self.body


async def hold(answer: Answer) -> Held:
    """Read `answer` to its end. Raises UpstreamError."""
    body = bytearray()
    try:
        while not answer.complete or not body:
            piece = await answer.read()
            if not piece:
                break
            body += piece
            if len(body) > HOLD_LIMIT:
                raise UpstreamBroken("Anthropic's answer is longer than such an answer can be.")
    finally:
        answer.close()
    return Held(answer.status, answer.headers, bytes(body))


async def relay(answer: Answer, send: Send, record: Record) -> None:
    """Pass `answer` on. Raises UpstreamError or ClientLeft where it breaks off."""
    headers = dict(answer.headers)
    count = record.answered(answer.status, headers)
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": to_client(answer.headers),
        }
    )
    while True:
        piece = await answer.read()
        more = not answer.complete
        await send({"type": "http.response.body", "body": piece, "more_body": more})
        if piece:
            count(piece)
        if not more:
            return
