"""Admits the requests of client keys with limits, before a token is chosen for them.

Invariant: the most that a request can use is held for it before anything is sent, and replaced by
what it did use before its client has the end of the answer, so that requests one after the other
are never in each other's way. What was spent is what the database says and what is on its way
there. The latter is read first: a row that arrives between the two reads is counted twice for a
moment, and never missed.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import apsw

from airoxy.calendar import day_of
from airoxy.core.billing.pricing import PriceTable, most_nanousd
from airoxy.core.estimate import Estimate, read_estimate
from airoxy.core.limits.measures import PERIODS, Refusal, Use, wait_of
from airoxy.core.limits.refusal import refusal
from airoxy.core.limits.table import Limits
from airoxy.core.request.json_scan import paced
from airoxy.core.request.paths import BATCHES, CHAT, MESSAGES, Cost
from airoxy.errors import AiroxyError, OverLimit, OverSpend
from airoxy.server.http.head import RequestHead
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.limits.models import check_batch, check_models
from airoxy.server.limits.reservations import Reservation
from airoxy.server.pauses import with_pauses
from airoxy.store import schema
from airoxy.store.limits import last_minute, spent

Body = bytes | bytearray | AsyncIterator[bytes]


@dataclass
class Limiter:
    """`is_limited` says of a key's id whether it has limits; `db` never waits for a lock."""

    limit_counters: LimitCounters
    is_limited: Callable[[int], bool]
    db: apsw.Connection
    prices: PriceTable
    _version: int = -1
    _spent: dict[int, tuple[datetime.date, dict[str, int]]] = field(default_factory=dict)
    _fresh: set[int] = field(default_factory=set)

    def admit(self, head: RequestHead, limits: Limits, key_id: int) -> Reservation:
        """Count the request and let it run, before anything of its body is looked at. Raises
        OverLimit."""
        now = time.time()
        with self.limit_counters.turn():
            slot = self._slot(key_id, now)
            self._refuse(slot, key_id, limits, now, costs=head.cost is Cost.COUNTED)
            self.limit_counters.count(slot, int(now), requests=1)
            return Reservation(self.limit_counters, key_id, slot)

    async def look(
        self,
        head: RequestHead,
        body: Body,
        limits: Limits,
        reservation: Reservation | None,
        model: str | None,
    ) -> Body:
        """Hold what the request may use. Also gives its body, which is looked at as it passes where
        it is too large to be held. Raises Forbidden, OverLimit, InvalidInput."""
        if head.method in ("GET", "HEAD"):
            return body
        path = head.path.rstrip("/")
        if path == BATCHES:
            return await check_batch(limits, body) if limits.models else body
        asks = path in (MESSAGES, CHAT) and head.cost is Cost.COUNTED
        holds = asks and (limits.spend or limits.tokens_per_minute is not None)
        if not isinstance(body, bytes | bytearray) or not (holds or limits.models):
            return body
        estimate = await with_pauses(paced(read_estimate(body)))
        if limits.models and (estimate.models or asks or head.takes_system):
            check_models(limits, estimate.models or (model,))
        if holds and reservation is not None:
            self._hold(limits, reservation, estimate, model)
        return body

    def _hold(
        self, limits: Limits, reservation: Reservation, estimate: Estimate, model: str | None
    ) -> None:
        now = time.time()
        nanousd = sum(
            most_nanousd(
                self.prices, call.model or model, day_of(now), call[1:], fast=estimate.fast
            )
            for call in estimate.calls
        )
        with self.limit_counters.turn():
            slot, key_id = reservation.slot, reservation.key_id
            if self.limit_counters.find(key_id) == slot:
                self._refuse(slot, key_id, limits, now, costs=True, rates=False)
            reservation.hold(nanousd, estimate.tokens)

    def _refuse(
        self, slot: int, key_id: int, limits: Limits, now: float, *, costs: bool, rates: bool = True
    ) -> None:
        """Raise OverLimit where one more request is above a limit."""
        decide = partial(refusal, limits, now=now, costs=costs, rates=rates)
        refused = decide(self._use(slot, key_id, limits, now))
        if refused and self.limit_counters.forget_dead(slot):
            refused = decide(self._use(slot, key_id, limits, now))
        if refused:
            raise _error(refused, now)

    def _slot(self, key_id: int, now: float) -> int:
        """The key's place in what is shared; a new one begins with what the log has."""
        slot = self.limit_counters.find(key_id)
        if slot is None:
            slot = self.limit_counters.add(key_id, self.is_limited)
            try:
                for second, requests, tokens in last_minute(self.db, key_id, now):
                    self.limit_counters.count(slot, second, requests, tokens)
            except apsw.Error:
                pass  # the snapshot says that the database cannot be read
        return slot

    def _use(self, slot: int, key_id: int, limits: Limits, now: float) -> Use:
        limit_counters, second = self.limit_counters, int(now)
        costs: dict[str, int] = {}
        held = 0
        if limits.spend:
            held, unwritten = limit_counters.held(slot), limit_counters.unwritten(slot)
            costs = {name: cost + unwritten for name, cost in self._spent_by(key_id, now).items()}
        return Use(
            costs,
            held=held,
            requests=limit_counters.requests(slot, second) if limits.requests_per_minute else (),
            tokens=limit_counters.tokens(slot, second) if limits.tokens_per_minute else (),
            tokens_held=limit_counters.tokens_held(slot),
            running=limit_counters.running(slot),
        )

    def _spent_by(self, key_id: int, now: float) -> dict[str, int]:
        """By the sums; where they cannot be read at the moment, what was known of them last."""
        today = day_of(now)
        day, costs = self._spent.get(key_id, (None, {each.name: 0 for each in PERIODS}))
        try:
            version = schema.data_version(self.db)
            if version != self._version:
                self._fresh.clear()
                self._version = version
            if key_id not in self._fresh or day != today:
                costs = spent(self.db, key_id, today)
                self._spent[key_id] = (today, costs)
                self._fresh.add(key_id)
        except apsw.Error:
            pass  # the snapshot says so
        return costs


def _error(refused: Refusal, now: float) -> AiroxyError:
    headers = [("retry-after", str(wait_of(refused.until, now)))]
    if refused.final:
        headers.append(("x-should-retry", "false"))
    return (OverSpend if refused.spent else OverLimit)(refused.message, headers=headers)
