"""Work in steps on the event loop, with a turn for everybody else between them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


async def with_pauses(steps: Generator[None, None, T]) -> T:
    """The result of `steps`, each of which takes about half a millisecond."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        await asyncio.sleep(0)
