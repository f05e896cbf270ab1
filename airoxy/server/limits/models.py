"""Holds a request to the models that its client key may use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import product

from airoxy.core.limits.holders import KeyLimits
from airoxy.core.request.search.model_scan import ANY, ModelScan
from airoxy.errors import Forbidden

#: Of a collected batch so much is looked through at once (bytes); of nothing but lists of fallbacks
#: it takes four milliseconds.
_STEP = 8 * 1024


def check_models(limits: KeyLimits, models: Iterable[str | None]) -> None:
    """Each of the models that may be billed, by each that is limited to some. Raises Forbidden."""
    restricted = [holder for holder in limits.holders if holder.limits.models]
    for model, holder in product(models, restricted):
        if model is None:
            raise Forbidden(
                f"{holder.subject} is limited to certain models, and the model of this request"
                " cannot be read."
            )
        if not holder.limits.allows(model):
            shown = "".join(letter if letter.isprintable() else "?" for letter in model)
            told = f"the model {shown}" if model != ANY else "models that the API chooses"
            raise Forbidden(
                f"{holder.subject} may not use {told};"
                f" it may use {', '.join(holder.limits.models)}."
            )


async def check_batch(
    limits: KeyLimits, body: bytes | bytearray | AsyncIterator[bytes]
) -> bytes | bytearray | AsyncIterator[bytes]:
    """The batch, which is checked as it passes where it is too large to be held."""
    if not isinstance(body, bytes | bytearray):
        return _checked(limits, body)
    async for _ in _checked(limits, _steps(body)):
        await asyncio.sleep(0)
    return body


async def _steps(body: bytes | bytearray) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _STEP):
        yield bytes(body[start : start + _STEP])


async def _checked(limits: KeyLimits, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, the last not before all has been seen: without its end it is no batch."""
    scan, found, last = ModelScan(), False, b""
    async for piece in pieces:
        models = scan.feed(piece)
        found = found or bool(models)
        check_models(limits, models)
        if last:
            yield last
        last = piece
    if not found:
        check_models(limits, (None,))
    yield last
