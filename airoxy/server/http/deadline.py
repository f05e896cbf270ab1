"""Time limits of a client's connection, and how much of a body that nobody needs is read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

#: The longest rest of a body that is read to its end, so that the connection can be used again:
#: twice the largest body of a message (bytes).
MOST_REST = 64 * 1024 * 1024
#: Of a longer rest, or one of unknown length, so much is read, or as much as was read of the body
#: before, if that is more (bytes).
LEAST_REST = 1024 * 1024


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take, in seconds."""

    #: To begin its first request, and for any request's head.
    head: float = 60.0
    #: To send more of a body: what nginx gives, and far more than a hiccup of a mobile network
    #: takes.
    body: float = 60.0
    #: To begin its next request. The client should be the first to give a connection up, and Go's
    #: keeps one for 90.
    idle: float = 120.0
    #: To send the rest of a body that nobody needs (many clients read the answer only then), in all
    #: and between two pieces. Both as in nginx.
    linger: float = 30.0
    linger_silence: float = 5.0
    #: To read what it was sent; Claude Code gives up after as much.
    unread: int = 300


class Deadline:
    """A moment by which something has to have happened, and which is put off all the time: `at` is
    a time of the event loop's, `math.inf` where nothing has to happen. `passed` is called when it
    has passed.

    One timer runs, and is left alone when the moment moves away from it; when it goes off it looks
    where the moment is now. So putting off costs a comparison.
    """

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


class Rest:
    """How much of a body that nobody needs is still read, and for how long; begins with `wait`."""

    __slots__ = ("_deadline", "_end", "_left", "_timeouts")

    def __init__(self, deadline: Deadline, timeouts: Timeouts) -> None:
        self._deadline = deadline
        self._timeouts = timeouts
        self._left = 0
        self._end = 0.0

    def wait(self, now: float, left: int, taken: int) -> None:
        """Begin: `left` bytes of the body are to come, if that is known; `taken` were used."""
        self._left = left if 0 < left <= MOST_REST else max(LEAST_REST, taken)
        self._end = now + self._timeouts.linger
        self.more(now)

    def more(self, now: float) -> None:
        """A piece has come, and more may follow."""
        self._deadline.set(min(now + self._timeouts.linger_silence, self._end))

    def is_over(self, dropped: int) -> bool:
        """Whether to stop reading, after so many more bytes."""
        self._left -= dropped
        return self._left <= 0
