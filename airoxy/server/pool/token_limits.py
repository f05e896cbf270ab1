"""Whether tokens with limits of their own may be used right now, as all workers see it.

A limit of a token ends its use when it is reached; what runs then goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress

from airoxy.calendar import next_day, next_month
from airoxy.core.pool import Token
from airoxy.errors import AiroxyError
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.pool.spent import SpentByTokens

#: How often it is noted which limits are asked for that are used up (seconds).
_NOTED_EVERY = 0.2
#: How often it is looked for what dead workers hold of a token that is at its limit (seconds): it
#: takes a system call for each worker, and a kernel takes longer to end one.
_LOOKED_EVERY = 0.01


class TokenLimits:
    """Requests that run are held in `counters`, under the negative id of their token, where they
    go with the worker that has them."""

    def __init__(
        self,
        spent: SpentByTokens,
        counters: LimitCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spent = spent
        self._clock = clock
        #: When it was looked last for what the dead hold, by the token's id.
        self._looked: dict[int, float] = {}
        self._counters = counters
        #: How many requests have asked since it was last noted for what.
        self._asked, self._noted_at = 0, 0.0

    def ready_at(self, token: Token, now: float) -> float:
        """From when (Unix time) on the token may spend; 0 for now."""
        limits = token.limits
        if limits is None:
            return 0.0
        today, this_month = self._spent.get(token.id, now)
        if limits.spend_per_month is not None and this_month >= limits.spend_per_month:
            return next_month(now, self._spent.zone)
        if limits.spend_per_day is not None and today >= limits.spend_per_day:
            return next_day(now, self._spent.zone)
        return 0.0

    def is_busy(self, token: Token) -> bool:
        """Whether as many requests run as may."""
        if token.limits is None or (most := token.limits.concurrent) is None:
            return False
        slot = self._counters.find(-token.id)
        if slot is None or self._counters.running(slot) < most:
            return False
        now = self._clock()
        if now < self._looked.get(token.id, 0.0) + _LOOKED_EVERY:
            return True
        self._looked[token.id] = now
        # In a turn: a new worker may be about to take the place of a dead one.
        with self._counters.turn():
            self._counters.forget_dead(slot)
        return self._counters.running(slot) >= most

    def note_demand(self, candidates: Collection[Token], now: float) -> None:
        """A request asks for one of these: now and then it is noted for those whose limits are used
        up on this host, so that it gets more of what the fleet has left."""
        self._asked += 1
        if now < self._noted_at + _NOTED_EVERY:
            return
        for token in candidates:
            if token.limits and (self.ready_at(token, now) or self.is_busy(token)):
                with self._counters.turn(), suppress(AiroxyError):
                    self._counters.ask(self._counters.find_or_add(-token.id), self._asked)
        self._asked, self._noted_at = 0, now

    def start(self, token: Token) -> None:
        """A request begins to run."""
        self._run(token, 1)

    def end(self, token: Token) -> None:
        """A request that ran is at its end."""
        self._run(token, -1)

    def _run(self, token: Token, change: int) -> None:
        number = -token.id
        # Without a slot, of which there are thousands, the token has no such limit.
        with self._counters.turn(), suppress(AiroxyError):
            slot = self._counters.find_or_add(number)
            if change > 0:
                self._counters.ask(slot)
            self._counters.hold(slot, number, running=change)
