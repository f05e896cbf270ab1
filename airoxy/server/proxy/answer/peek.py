"""Looking into an upstream answer before it is decided whose it is; nothing is taken out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airoxy.core.answers.error_document import ErrorDocument
from airoxy.server.proxy.answer.decode import Decoder
from airoxy.upstream.exchange import Exchange

#: An error document is smaller (bytes), and arrives with its head or soon after (seconds).
LIMIT, PATIENCE = 64 * 1024, 1.0

#: How a first event begins that may be an error: with that name, or with none.
_BEGINNINGS = (b"event: error", b"event:error", b"data:")
_OVERLOADED = "overloaded_error"
#: How nearly all streams begin.
_FINE = b"event: message_start"


async def peek_error(exchange: Exchange) -> bytes:
    """As much of an error's body as comes soon, decoded."""
    return _decoded(exchange, await exchange.peek(LIMIT, PATIENCE))


def peek_now(exchange: Exchange) -> bytes:
    """What is there of an error's body already, decoded."""
    return _decoded(exchange, exchange.arrived())


async def peek_until(exchange: Exchange, find: Callable[[bytes], bytes | None]) -> bytes | None:
    """What `find` finds in the beginning of an answer, if that comes soon."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    size = 0
    while (left := deadline - loop.time()) > 0:
        arrived = await exchange.peek(size + 1, left)
        if found := find(_decoded(exchange, arrived)):
            return found
        if len(arrived) == size or len(arrived) >= LIMIT or exchange.complete:
            return None
        size = len(arrived)
    return None


async def begins_overloaded(exchange: Exchange) -> bool:
    """Whether a stream's first event says that Anthropic is overloaded: a 529 in all but name. It
    is waited for a little, and only then the client gets the head of the answer."""
    if exchange.arrived().startswith(_FINE):
        return False
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    size = 0
    while (left := deadline - loop.time()) > 0:
        arrived = await exchange.peek(size + 1, left)
        beginning = _decoded(exchange, arrived).lstrip()[:LIMIT]
        if not beginning.startswith(_BEGINNINGS) and not any(
            each.startswith(beginning) for each in _BEGINNINGS
        ):
            return False
        event, end, _ = beginning.replace(b"\r\n", b"\n").partition(b"\n\n")
        if end:
            return _is_overloaded(event)
        if len(arrived) == size or len(beginning) >= LIMIT or exchange.complete:
            return False  # no more can come, or it is no event of Anthropic's
        size = len(arrived)
    return False


def _decoded(exchange: Exchange, body: bytes) -> bytes:
    encoding = exchange.named.get(b"content-encoding")
    return Decoder(encoding.decode("latin-1")).decode(body) if encoding else body


def _is_overloaded(event: bytes) -> bool:
    lines = (line[5:].lstrip() for line in event.split(b"\n") if line.startswith(b"data:"))
    return ErrorDocument(b"\n".join(lines)).type == _OVERLOADED
