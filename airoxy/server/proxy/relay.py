"""An upstream answer on its way to the client, piece by piece, past the counting.

The law: a piece goes to the client first and is counted then; an answer that breaks off is never
ended as if it were complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from airoxy.core.request.headers import Headers, to_client
from airoxy.errors import UpstreamBroken
from airoxy.server.proxy.decode import Decoder
from airoxy.server.proxy.request_log import RequestLog

#: Answers that are read whole before they are passed on are documents, not downloads (bytes).
HOLD_LIMIT = 1024 * 1024


class AnswerSource(Protocol):
    """A live upstream response, or one that was read already."""

    status: int
    headers: Headers

    @property
    def complete(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class AnswerSink(Protocol):
    """Whom an answer goes to; see `airoxy.server.http.response`."""

    def begin(self, status: int, headers: Headers) -> None: ...
    def flush(self) -> None: ...
    def write(self, piece: bytes, *, more: bool) -> None: ...
    async def drain(self) -> None: ...


class Held:
    """An answer that was read whole before it may go to the client."""

    complete = ready = True

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


async def hold(answer: AnswerSource) -> Held:
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


async def relay(
    answer: AnswerSource,
    client: AnswerSink,
    request_log: RequestLog,
    before_end: Callable[[], object] | None = None,
) -> None:
    """Pass `answer` on; its last piece after a call of `before_end`. Raises UpstreamError or
    ClientLeft where it breaks off."""
    count = request_log.answered(answer.status, dict(answer.headers))
    client.begin(answer.status, to_client(answer.headers))
    if not answer.ready:
        client.flush()
    more = True
    while more:
        piece = await answer.read()
        more = not answer.complete
        if more or before_end is None:
            client.write(piece, more=more)
        if piece:
            count(piece)
        if more:
            await client.drain()
        elif before_end is not None:
            before_end()
            client.write(piece, more=False)
