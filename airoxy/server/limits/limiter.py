"""Admits the requests of client keys that have limits, or whose groups have some, before a token
is chosen for them.

Invariant: the most that a request can use is held for it before anything is sent, and replaced by
its real use before its client has the end of the answer, so that a request is never refused for
the one before it. Spending is the sum of what the database has and what is still being written. The
latter is read first: a row that is committed between the two reads is counted twice for a moment,
and never missed. Such a moment refuses no request: while a cost is being written, a refusal is
decided again.
"""

from __future__ import annotations

import asyncio
import datetime
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import apsw

from airoxy.calendar import day_number, day_of
from airoxy.core.billing.pricing import PriceTable, most_nanousd
from airoxy.core.estimate import Estimate, read_estimate
from airoxy.core.limits import windows
from airoxy.core.limits.division import HostShare
from airoxy.core.limits.holders import Holder, KeyLimits
from airoxy.core.limits.measures import PERIODS, Refusal, Use, wait_of
from airoxy.core.limits.refusal import first_refusal, refusal
from airoxy.core.request.json_scan import paced
from airoxy.core.request.paths import BATCHES, CHAT, MESSAGES, Cost
from airoxy.errors import AiroxyError, OverLimit, OverSpend
from airoxy.server.http.head import RequestHead
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.limits.models import check_batch, check_models
from airoxy.server.limits.reservations import Reservation
from airoxy.server.pauses import Pause, next_turn, with_pauses
from airoxy.store import schema
from airoxy.store.fleet.shares import shares_of
from airoxy.store.limits import last_minute, spent

Body = bytes | bytearray | AsyncIterator[bytes]
Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

#: How often a refusal is decided again while a cost is being written, and the pause between (s):
#: together longer than the writer takes for a commit on a busy machine.
LOOKS, LOOK_AGAIN = 50, 0.01

_NOTHING: Mapping[str, int] = {each.name: 0 for each in PERIODS}


@dataclass
class Limiter:
    """`is_limited` says of a number in the counters whether it has limits; `db` never waits for a
    lock, and days are those of `zone`. `hosts` is how many there are in the fleet, 0 for none.
    `gained` are the numbers of those of which more is counted than before."""

    limit_counters: LimitCounters
    is_limited: Callable[[int], bool]
    db: apsw.Connection
    prices: PriceTable
    zone: datetime.tzinfo = datetime.UTC
    hosts: Callable[[], int] = lambda: 0
    gained: set[int] = field(default_factory=set)
    _shares: dict[int, Mapping[str, HostShare]] = field(default_factory=dict)
    _version: int = -1
    _spent: dict[int, tuple[datetime.date, Mapping[str, int]]] = field(default_factory=dict)
    #: What was spent, and when that was looked at.
    _seen: dict[int, tuple[float, Mapping[str, int]]] = field(default_factory=dict)
    _fresh: set[int] = field(default_factory=set)
    _divided: dict[int, datetime.date] = field(default_factory=dict)

    async def admit(self, head: RequestHead, limits: KeyLimits) -> Reservation:
        """Count the request and let it run, before anything of its body is looked at. Raises
        OverLimit."""
        asked = False

        def decide() -> Reservation:
            nonlocal asked
            now = time.time()
            with self.limit_counters.turn():
                slots = {holder.number: self._slot(holder.number, now) for holder in limits.metered}
                for slot in () if asked else slots.values():
                    self.limit_counters.ask(slot)
                asked = True
                self._refuse(limits.metered, slots, now, costs=head.cost is Cost.COUNTED)
                for slot in slots.values():
                    self.limit_counters.count(slot, int(now), requests=1)
                return Reservation(self.limit_counters, slots)

        return await self._settled(limits.metered, decide)

    async def look(
        self,
        head: RequestHead,
        body: Body,
        limits: KeyLimits,
        reservation: Reservation | None,
        model: str | None,
        pause: Pause = next_turn,
    ) -> Body:
        """Hold what the request may use. Also gives its body, which is looked at as it passes where
        it is too large to be held. Raises Forbidden, OverLimit, InvalidInput."""
        if head.method in ("GET", "HEAD"):
            return body
        path = head.path.rstrip("/")
        if path == BATCHES:
            return await check_batch(limits, body) if limits.choose_models else body
        asks = path in (MESSAGES, CHAT) and head.cost is Cost.COUNTED
        holds = asks and limits.hold
        if not isinstance(body, bytes | bytearray) or not (holds or limits.choose_models):
            return body
        estimate = await with_pauses(paced(read_estimate(body)), pause)
        if limits.choose_models and (estimate.models or asks or head.takes_system):
            check_models(limits, estimate.models or (model,))
        if holds and reservation is not None:
            hold = partial(self._hold, limits, reservation, estimate, model)
            await self._settled(limits.metered, hold)
        return body

    async def _settled(self, metered: Collection[Holder], decide: Callable[[], T]) -> T:
        """What `decide` gives. Where it refuses for money while a cost is on its way to the
        database, which may just count twice, it is asked again. Raises what it raises."""
        for _ in range(LOOKS):
            try:
                return decide()
            except OverSpend:
                slots = [self.limit_counters.find(each.number) for each in metered]
                if not any(self.limit_counters.unwritten(n) for n in slots if n is not None):
                    raise
            await asyncio.sleep(LOOK_AGAIN)
        return decide()

    def _hold(
        self, limits: KeyLimits, reservation: Reservation, estimate: Estimate, model: str | None
    ) -> None:
        now = time.time()
        nanousd = sum(
            most_nanousd(
                self.prices, call.model or model, day_of(now), call[1:], fast=estimate.fast
            )
            for call in estimate.calls
        )
        with self.limit_counters.turn():
            slots, find = reservation.slots, self.limit_counters.find
            metered = [each for each in limits.metered if find(each.number) == slots[each.number]]
            self._refuse(metered, slots, now, costs=True, rates=False)
            reservation.hold(nanousd, estimate.tokens)

    def _refuse(
        self,
        metered: Collection[Holder],
        slots: Mapping[int, int],
        now: float,
        *,
        costs: bool,
        rates: bool = True,
    ) -> None:
        """Raise OverLimit where one more request is above a limit of one of them."""

        def decide(holder: Holder) -> Refusal | None:
            use = self._use(slots[holder.number], holder, now)
            return refusal(holder.limits, use, now, costs=costs, rates=rates)

        refused = first_refusal(metered, decide)
        if refused and sum(map(self.limit_counters.forget_dead, slots.values())):
            refused = first_refusal(metered, decide)
        if refused:
            told = [each for each in metered if each.limits.spend] if refused.spent else []
            raise _error(refused, now, self.windows(told))

    def windows(self, spending: Iterable[Holder]) -> Headers:
        """What an answer says of the limits of money, by what was known when its request was
        admitted: of the periods of then, one of which may have ended."""
        now, found = time.time(), list[windows.Window]()
        for holder in spending:
            at, costs = self._seen.get(holder.number, (now, _NOTHING))
            found += windows.windows(holder.limits, costs, at, self.zone)
        return windows.headers(found)

    def _slot(self, number: int, now: float) -> int:
        """The place of a key or group in what is shared; a new one begins with what the log has, as
        does one of whose requests not all were counted."""
        slot = self.limit_counters.find(number)
        if slot is None:
            slot = self.limit_counters.add(number, self.is_limited)
            self._recall(slot, number, now)
        elif number in self.gained:
            self._recall(slot, number, now)
        return slot

    def _recall(self, slot: int, number: int, now: float) -> None:
        self.gained.discard(number)
        requests, tokens = Counter[int](), Counter[int]()
        with suppress(apsw.Error):  # the snapshot says that the database cannot be read
            for each in last_minute(self.db, number, now):
                requests[each.second] += each.requests
                tokens[each.second] += each.tokens
        for second in requests:
            self.limit_counters.recall(slot, int(now), second, requests[second], tokens[second])

    def _use(self, slot: int, holder: Holder, now: float) -> Use:
        limit_counters, limits, second = self.limit_counters, holder.limits, int(now)
        costs: dict[str, int] = {}
        held, hosts = 0, self.hosts()
        shares = self._shares_of(holder.number, now) if hosts else {}
        if limits.spend:
            held, unwritten = limit_counters.held(slot), limit_counters.unwritten(slot)
            costs = {name: cost + unwritten for name, cost in self._spent_by(holder, now).items()}
            seen = costs
            if hosts:
                of_others = {name: share.others for name, share in shares.items()}
                seen = {name: cost + of_others.get(name, 0) for name, cost in costs.items()}
            self._seen[holder.number] = now, seen
        return Use(
            costs,
            held=held,
            requests=limit_counters.requests(slot, second) if limits.requests_per_minute else (),
            tokens=limit_counters.tokens(slot, second) if limits.tokens_per_minute else (),
            tokens_held=limit_counters.tokens_held(slot),
            running=limit_counters.running(slot),
            zone=self.zone,
            hosts=hosts,
            shares=shares,
        )

    def _spent_by(self, holder: Holder, now: float) -> Mapping[str, int]:
        """By the sums; where they cannot be read at the moment, what was known of them last."""
        today, number = day_of(now, self.zone), holder.number
        total = holder.limits.spend_total is not None
        day, costs = self._spent.get(number, (None, _NOTHING))
        try:
            self._look()
            if number not in self._fresh or day != today:
                costs = spent(self.db, number, today, total=total)
                self._spent[number] = (today, costs)
                self._fresh.add(number)
        except apsw.Error:
            pass  # the snapshot says so
        return costs

    def _shares_of(self, number: int, now: float) -> Mapping[str, HostShare]:
        """They hold until there are new ones; what others have spent counts in its own period."""
        today = day_of(now, self.zone)
        with suppress(apsw.Error):  # the snapshot says so
            self._look()
            if self._divided.get(number) != today:
                firsts = {each.name: day_number(each.first(today)) for each in PERIODS}
                self._shares[number] = {
                    name: share if share.first_day == firsts.get(name, 0) else share.alone()
                    for name, share in shares_of(self.db, number).items()
                }
                self._divided[number] = today
        return self._shares.get(number, {})

    def _look(self) -> None:
        """What was read holds until something is committed."""
        version = schema.data_version(self.db)
        if version != self._version:
            self._fresh.clear()
            self._divided.clear()
            self._version = version


def _error(refused: Refusal, now: float, told: Headers) -> AiroxyError:
    headers = [(name.decode(), value.decode()) for name, value in told]
    if refused.until < math.inf:  # of a limit in total nobody knows when it is raised
        headers.append(("retry-after", str(wait_of(refused.until, now))))
    if refused.final:
        headers.append(("x-should-retry", "false"))
    return (OverSpend if refused.spent else OverLimit)(refused.message, headers=headers)
