"""What tokens with limits of their own have spent, shared by all workers.

Invariant: what is known of a token is never less than what has been counted here since the service
started, nor than what the database has and what is counted and not written, as soon as each worker
has read that behind its own rows (`begin_with`). A cost is taken from what is not written by the
transaction that writes its row: whoever has the database's write lock finds each cost in one place.
"""

from __future__ import annotations

import datetime
import threading
from contextlib import suppress

import apsw

from airoxy.calendar import day_number, day_of, next_day, start
from airoxy.core.limits.measures import DAY, MONTH
from airoxy.errors import AiroxyError
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.shared_memory import Record, Region, SharedMemory
from airoxy.store.fleet.shares import DividedLimit, TokenSpending
from airoxy.store.usage.requests import Row

SLOTS = 4096

#: A day (since 1970) or month (since year 0), and what was spent in it (nano-dollars).
_PERIOD = Record(number=1, nanousd=1)
#: The even one and the odd one: who is late at midnight is not in the way of the new day.
_SLOT = Record(token_id=1, days=2 * _PERIOD, months=2 * _PERIOD)
REGION = Region("token_spending", Record(slots=SLOTS * _SLOT), locks={"slots": 1})

_DAYS, _MONTHS, _NANOUSD = _SLOT.at["days"], _SLOT.at["months"], _PERIOD.at["nanousd"]
_EMPTY = memoryview(bytes(_SLOT.size * 8)).cast("q")


class SpentByTokens:
    """What is not written is held in `counters`, under the negative id of the token, where it goes
    with the worker that has to write it. Days and months are those of `zone`.

    A number is read without a lock: it is written before the period that it is of."""

    def __init__(
        self,
        memory: SharedMemory,
        counters: LimitCounters,
        zone: datetime.tzinfo = datetime.UTC,
    ) -> None:
        self.zone = zone
        self._words = memory.words(REGION)
        self._counters = counters
        #: The day and month of the Unix times from here to there.
        self._current = (0.0, 0.0, 0, 0)
        # Two locks, because threads of a process have that of files in common.
        self._thread, self._process = threading.Lock(), memory.lock(REGION, "slots")

    def get(self, token_id: int, now: float) -> tuple[int, int]:
        """Today and this month, in nano-dollars."""
        words, base = self._words, _base(token_id)
        if words[base] != token_id:
            return 0, 0
        since, until, day, month = self._current
        if not since <= now < until:
            today = day_of(now, self.zone)
            day, month = day_number(today), _month(today)
            self._current = start(today, self.zone), next_day(now, self.zone), day, month
        at_day, at_month = _entry(base + _DAYS, day), _entry(base + _MONTHS, month)
        return (
            words[at_day + _NANOUSD] if words[at_day] == day else 0,
            words[at_month + _NANOUSD] if words[at_month] == month else 0,
        )

    def told(self, token_id: int, now: float) -> dict[DividedLimit, TokenSpending]:
        """What an agent is told of it."""
        today, spent = day_of(now, self.zone), self.get(token_id, now)
        return {
            DividedLimit(-token_id, period.name): TokenSpending(
                day_number(period.first(today)), nanousd
            )
            for period, nanousd in zip((DAY, MONTH), spent, strict=True)
        }

    def add(self, token_id: int, nanousd: int, now: float, came: float) -> None:
        """A request has cost so much more (or less), which will be written. As in the sums it
        counts on the day on which it came, which may be over."""
        slot, day = self._slot(token_id), day_of(came, self.zone)
        with self._thread, self._process:
            self._add(token_id, day, day_of(now, self.zone), nanousd, nanousd)
            if slot is not None:
                self._counters.hold_of_day(slot, -token_id, day_number(day), nanousd)

    def written(self, token_id: int, nanousd: int, came: float, lost: int = 0) -> None:
        """So much of what was added is being written, by the transaction that the caller is in;
        `lost` is what of it was counted before."""
        slot, day = self._counters.find(-token_id), day_of(came, self.zone)
        with self._thread, self._process:
            if slot is not None:
                self._counters.hold_of_day(slot, -token_id, day_number(day), -nanousd)
            if lost:
                self._add(token_id, day, day, -lost, -lost)

    def begin_with(self, token_id: int, now: float, today: int, this_month: int) -> None:
        """What the database has of it: the caller has read that in a transaction that writes."""
        slot, day = self._counters.find(-token_id), day_of(now, self.zone)
        before = day - datetime.timedelta(1)
        with self._thread, self._process:
            if slot is not None:
                unwritten = self._counters.unwritten_of_day(slot, day_number(day))
                today, this_month = today + unwritten, this_month + unwritten
                if _month(before) == _month(day):
                    this_month += self._counters.unwritten_of_day(slot, day_number(before))
            known_today, known_this_month = self.get(token_id, now)
            more, more_of_month = today - known_today, this_month - known_this_month
            self._add(token_id, day, day, max(0, more), max(0, more_of_month))

    def take_back(
        self, token_id: int, nanousd: int, now: float, today: int, this_month: int
    ) -> None:
        """So much was not spent after all: never less is known than what the database has, which
        knows that already."""
        day = day_of(now, self.zone)
        with self._thread, self._process:
            known_today, known_this_month = self.get(token_id, now)
            less = max(today - known_today, -nanousd)
            less_of_month = max(this_month - known_this_month, -nanousd)
            self._add(token_id, day, day, less, less_of_month)

    def forget_dead(self, token_id: int) -> None:
        """Workers that were killed will not write what they have counted; call it before another
        one does."""
        slot = self._counters.find(-token_id)
        if slot is not None:
            with self._counters.turn():
                self._counters.forget_dead(slot)

    def _add(
        self, token_id: int, day: datetime.date, today: datetime.date, nanousd: int, of_month: int
    ) -> None:
        words, base = self._words, _base(token_id)
        if words[base] != token_id:
            words[base : base + _SLOT.size] = _EMPTY
            words[base] = token_id
        for at, number, current, more in (
            (base + _DAYS, day_number(day), day_number(today), nanousd),
            (base + _MONTHS, _month(day), _month(today), of_month),
        ):
            entry = _entry(at, number)
            kept = words[entry]
            if kept == number:
                words[entry + _NANOUSD] += more
            # One that is later is of now, unless a clock was wrong: this one is long over.
            elif kept < number or kept > current + 1:
                words[entry + _NANOUSD] = more
                words[entry] = number

    def _slot(self, token_id: int) -> int | None:
        """A place for what is not written; without one, of which there are thousands, it is not
        known."""
        slot = self._counters.find(-token_id)
        if slot is None:
            with self._counters.turn(), suppress(AiroxyError):
                return self._counters.find_or_add(-token_id)
        return slot


class Writing:
    """Called by the transaction that writes the row of a request that was counted, again where that
    had to be tried again: its cost counts as written from then on. `row` is what was written, where
    that may be cheaper than what was counted."""

    __slots__ = ("_came", "_is_new", "_nanousd", "_spent", "_token_id")

    def __init__(self, spent: SpentByTokens, token_id: int, nanousd: int, came: float) -> None:
        self._spent, self._token_id = spent, token_id
        self._nanousd, self._came = nanousd, came
        self._is_new = True

    def __call__(self, _: apsw.Connection, row: Row | None = None) -> None:
        if self._is_new:
            self._is_new = False
            lost = 0 if row is None else self._nanousd - row.cost_nanousd
            self._spent.written(self._token_id, self._nanousd, self._came, lost)


def _base(token_id: int) -> int:
    return token_id % SLOTS * _SLOT.size


def _entry(at: int, number: int) -> int:
    """Where a period is among two."""
    return at + number % 2 * _PERIOD.size


def _month(day: datetime.date) -> int:
    return day.year * 12 + day.month
