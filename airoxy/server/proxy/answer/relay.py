"""An upstream answer on its way to the client, piece by piece, past the counting.

Invariant: a piece goes to the client first and is counted then, but for a last one that is held; an
answer that breaks off is never ended as if it were complete.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from airoxy.core.request.headers import Headers, to_client
from airoxy.errors import UpstreamBroken
from airoxy.server.proxy.answer.decode import Decoder
from airoxy.server.proxy.request_log import RequestLog

#: Which container a Messages answer has used, as Anthropic writes it.
_CONTAINER = b'"container":{'
_CONTAINER_ID = re.compile(_CONTAINER + rb'[^{}]{0,300}?"id":"(container_[0-9A-Za-z_-]{1,200})"')
#: Answers that are read whole before they are passed on are documents, not downloads (bytes).
HOLD_LIMIT = 1024 * 1024


class AnswerSource(Protocol):
    """A live upstream response, or one that was read already."""

    status: int
    headers: Headers
    #: The same by their names.
    named: dict[bytes, bytes]

    @property
    def complete(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class AnswerSink(Protocol):
    """Whom an answer goes to; see `airoxy.server.http.response`."""

    def begin(
        self, status: int, headers: Headers, passed: Mapping[bytes, bytes] | None = None
    ) -> None: ...
    def flush(self) -> None: ...
    def write(self, piece: bytes, *, more: bool) -> None: ...
    async def drain(self) -> bool: ...


class Held:
    """An answer that was read whole before it may go to the client."""

    complete = ready = True

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.named = dict(headers)

    async def read(self) -> bytes:
        return self.body

    def close(self) -> None:
        """Its connection was given back when it was read."""

    def text(self) -> bytes:
        """The body without its content-encoding."""
        encoding = self.named.get(b"content-encoding")
        return Decoder(encoding.decode("latin-1")).decode(self.body) if encoding else self.body


class Resumed:
    """An answer whose first part was read already."""

    ready = True

    def __init__(self, answer: AnswerSource, first: bytes) -> None:
        self._answer, self._first = answer, first
        self.status, self.headers, self.named = answer.status, answer.headers, answer.named
        self.close = answer.close

    @property
    def complete(self) -> bool:
        return not self._first and self._answer.complete

    async def read(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await self._answer.read()


async def hold_if_short(answer: AnswerSource) -> Held | Resumed:
    """Read `answer` to its end, if that is within HOLD_LIMIT. Raises UpstreamError."""
    body = bytearray()
    while not answer.complete or not body:
        piece = await answer.read()
        if not piece:
            break
        body += piece
        if len(body) > HOLD_LIMIT:
            return Resumed(answer, bytes(body))
    answer.close()
    return Held(answer.status, answer.headers, bytes(body))


async def hold(answer: AnswerSource) -> Held:
    """Read `answer` to its end. Raises UpstreamError."""
    try:
        held = await hold_if_short(answer)
    finally:
        answer.close()
    if isinstance(held, Resumed):
        raise UpstreamBroken("Anthropic's answer is longer than such an answer can be.")
    return held


async def relay(
    answer: AnswerSource,
    client: AnswerSink,
    request_log: RequestLog,
    before_end: Callable[[RequestLog, str | None], Awaitable[None] | None],
    told: Headers | None = None,
    cut: Callable[[Headers], Headers] | None = None,
    turn: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Pass `answer` on, with the headers `told` beside what `cut` leaves of its own. Its last piece
    goes after `before_end`, which is given the id of the container that the answer names and may
    return what is to be awaited. Once the client reads again, it goes on after a `turn`. Raises
    UpstreamError or ClientLeft where it breaks off."""
    named = answer.named
    count = request_log.answered(answer.status, named)
    headers = to_client(answer.headers, named)
    if cut is not None:
        headers = cut(headers)
    client.begin(answer.status, headers + told if told else headers, named)
    if not answer.ready:
        client.flush()
    container: str | None = None
    more = True
    while more:
        piece = await answer.read()
        more = not answer.complete
        if more:
            client.write(piece, more=True)
        if piece:
            count(piece)
            if piece.find(_CONTAINER) >= 0 and (found := _CONTAINER_ID.search(piece)):
                container = found[1].decode()
        if more:
            if await client.drain() and turn is not None:
                await turn()
        else:
            waiting = before_end(request_log, container)
            if waiting is not None:
                await waiting
            client.write(piece, more=False)
