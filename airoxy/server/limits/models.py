"""Holds a request to the models that its client key may use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from airoxy.core.limits.table import Limits
from airoxy.core.request.model_scan import ANY, ModelScan
from airoxy.errors import Forbidden

#: Of a collected batch so much is looked through at once (bytes).
_STEP = 128 * 1024


def check_models(limits: Limits, models: Iterable[str | None]) -> None:
    """Each of the models that may be billed. Raises Forbidden."""
    for model in models:
        if model is None:
            raise Forbidden(
                "This API key is limited to certain models, and the model of this request cannot be"
                " read."
            )
        if not limits.allows(model):
            shown = "".join(letter if letter.isprintable() else "?" for letter in model)
            told = f"the model {shown}" if model != ANY else "models that the API chooses"
            raise Forbidden(
                f"This API key may not use {told}; it may use {', '.join(limits.models)}."
            )


async def check_batch(
    limits: Limits, body: bytes | bytearray | AsyncIterator[bytes]
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


async def _checked(limits: Limits, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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
