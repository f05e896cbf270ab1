"""How much is still read of a body that nobody wants, and for how long."""

from __future__ import annotations

from airoxy.server.http.deadline import Deadline
from airoxy.server.http.server_state import Timeouts

#: The rest of a body is read to its end, and the connection goes on, if there is no more of it than
#: this: twice the largest body of a message (bytes).
MOST = 64 * 1024 * 1024
#: Of what has no end that is near so much is read, or as much again as was taken before (bytes).
LEAST = 1024 * 1024


class Rest:
    """Begins with `wait`."""

    __slots__ = ("_deadline", "_end", "_left", "_timeouts")

    def __init__(self, deadline: Deadline, timeouts: Timeouts) -> None:
        self._deadline = deadline
        self._timeouts = timeouts
        self._left = 0
        self._end = 0.0

    def wait(self, now: float, left: int, taken: int) -> None:
        """Of a body `left` bytes are to come, if that is known, and `taken` were wanted."""
        self._left = left if 0 < left <= MOST else max(LEAST, taken)
        self._end = now + self._timeouts.linger
        self.more(now)

    def more(self, now: float) -> None:
        """Something has come, and more may."""
        self._deadline.set(min(now + self._timeouts.linger_silence, self._end))

    def is_over(self, dropped: int) -> bool:
        """Whether it is enough, after so many bytes more."""
        self._left -= dropped
        return self._left <= 0
