"""A moment by which something has to have happened, and which is put off all the time.

The law: one timer runs, and is left alone when the moment moves away from it. When it goes off it
looks where the moment is now. So putting off costs a comparison.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """`at` is a time of the event loop's, `math.inf` where nothing has to happen; `passed` is
    called when it has passed."""

    __slots__ = ("_loop", "_passed", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self.at = math.inf
        self._loop = loop
        self._passed: Callable[[], None] | None = passed
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """From now on it is this one."""
        self.at = at
        timer = self._timer
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def end(self) -> None:
        """It will never pass; whose it is and it let go of each other."""
        self.at, self._passed = math.inf, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self.at == math.inf or self._passed is None:
            return
        if self.at > self._loop.time():
            self.set(self.at)
        else:
            self._passed()
