"""Work in steps on the event loop, with a turn for everybody else between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

T = TypeVar("T")
Pause = Callable[[], Awaitable[None]]


async def next_turn() -> None:
    """Until the loop has been round once."""
    await asyncio.sleep(0)


async def with_pauses(steps: Generator[None, None, T], pause: Pause = next_turn) -> T:
    """The result of `steps`, each of which takes about half a millisecond."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        await pause()
