"""What tokens with limits of their own have spent and are doing right now, shared by all workers.

A limit of a token ends its use when it is reached; what runs then goes on.
"""

from __future__ import annotations

import datetime
import threading
import time
from array import array
from collections.abc import Callable, Collection
from contextlib import suppress

from airoxy.calendar import day_number, day_of, next_day, next_month
from airoxy.core.limits.measures import DAY, MONTH
from airoxy.core.pool import Token
from airoxy.errors import AiroxyError
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.shared_memory import Record, Region, SharedMemory
from airoxy.store.fleet.shares import DividedLimit, TokenSpending

SLOTS = 4096

#: Money in nano-dollars, and the day (since 1970) and month (since year 0) that it is of.
_SLOT = Record(token_id=1, day=1, spent_today=1, month=1, spent_this_month=1)
_SPENDING = Record(slots=SLOTS * _SLOT)
REGION = Region("token_limits", _SPENDING, locks={"slots": 1})

#: How often it is noted which limits are asked for that are used up (seconds).
_NOTED_EVERY = 0.2
#: How often it is looked for what dead workers hold of a token that is at its limit (seconds): it
#: takes a system call for each worker, and a kernel takes longer to end one.
_LOOKED_EVERY = 0.01

_DAY, _TODAY = _SLOT.at["day"], _SLOT.at["spent_today"]
_MONTH, _THIS_MONTH = _SLOT.at["month"], _SLOT.at["spent_this_month"]


class TokenLimits:
    """Requests that run are held in `counters`, under the negative id of their token, where they
    go with the worker that has them."""

    def __init__(
        self,
        memory: SharedMemory,
        counters: LimitCounters,
        zone: datetime.tzinfo = datetime.UTC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._zone = zone
        self._clock = clock
        #: When it was looked last for what the dead hold, by the token's id.
        self._looked: dict[int, float] = {}
        self._words = memory.words(REGION)
        self._lock = memory.lock(REGION, "slots")
        # The writer's thread has what the database says, that of the loop what a request has cost.
        self._threads = threading.Lock()
        self._counters = counters
        #: How many requests have asked since it was last noted for what.
        self._asked, self._noted_at = 0, 0.0

    def ready_at(self, token: Token, now: float) -> float:
        """From when (Unix time) on the token may spend; 0 for now."""
        limits = token.limits
        if limits is None:
            return 0.0
        today, this_month = self.spent(token.id, now)
        if limits.spend_per_month is not None and this_month >= limits.spend_per_month:
            return next_month(now, self._zone)
        if limits.spend_per_day is not None and today >= limits.spend_per_day:
            return next_day(now, self._zone)
        return 0.0

    def spent(self, token_id: int, now: float) -> tuple[int, int]:
        """Today and this month, in nano-dollars."""
        words, base, today = self._words, _base(token_id), day_of(now, self._zone)
        if words[base] != token_id:
            return 0, 0
        return (
            words[base + _TODAY] if words[base + _DAY] == day_number(today) else 0,
            words[base + _THIS_MONTH] if words[base + _MONTH] == _month(today) else 0,
        )

    def spending(self, token_id: int, now: float) -> dict[DividedLimit, TokenSpending]:
        """What an agent is told of it."""
        today, spent = day_of(now, self._zone), self.spent(token_id, now)
        return {
            DividedLimit(-token_id, period.name): TokenSpending(
                day_number(period.first(today)), nanousd
            )
            for period, nanousd in zip((DAY, MONTH), spent, strict=True)
        }

    def begin_with(self, token_id: int, now: float, today: int, this_month: int) -> None:
        """What the database has of it; this memory may know of more, which is not written yet."""
        with self._threads, self._lock:
            known_today, known_this_month = self.spent(token_id, now)
            today, this_month = max(today, known_today), max(this_month, known_this_month)
            self._set(token_id, day_of(now, self._zone), today, this_month)

    def add(self, token_id: int, nanousd: int, now: float, came: float) -> None:
        """A request has cost so much more. As in the sums it counts on the day on which it came,
        which may be over."""
        with self._threads, self._lock:
            today, this_month = self.spent(token_id, now)
            day, of = day_of(now, self._zone), day_of(came, self._zone)
            if of >= day:
                today += nanousd
            if _month(of) >= _month(day):
                this_month += nanousd
            self._set(token_id, day, today, this_month)

    def take_back(
        self, token_id: int, nanousd: int, now: float, today: int, this_month: int
    ) -> None:
        """So much was not spent after all: never less is known than what the database has, which
        knows that already."""
        with self._threads, self._lock:
            known_today, known_this_month = self.spent(token_id, now)
            today = max(today, known_today - nanousd)
            this_month = max(this_month, known_this_month - nanousd)
            self._set(token_id, day_of(now, self._zone), today, this_month)

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
                    self._counters.ask(self._slot(-token.id), self._asked)
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
            slot = self._slot(number)
            if change > 0:
                self._counters.ask(slot)
            self._counters.hold(slot, number, running=change)

    def _slot(self, number: int) -> int:
        slot = self._counters.find(number)
        return self._counters.add(number, lambda _: True) if slot is None else slot

    def _set(self, token_id: int, day: datetime.date, today: int, this_month: int) -> None:
        # By one call: a worker may be killed between two, and leave yesterday's sum to today.
        values = (token_id, day_number(day), today, _month(day), this_month)
        base = _base(token_id)
        self._words[base : base + _SLOT.size] = array("q", values)


def _base(token_id: int) -> int:
    return token_id % SLOTS * _SLOT.size


def _month(day: datetime.date) -> int:
    return day.year * 12 + day.month
