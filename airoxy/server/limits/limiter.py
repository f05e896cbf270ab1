"""Admits the requests of client keys with limits, before a token is chosen for them.

Invariant: the most that a request can use is held for it before anything is sent, and replaced by
what it did use before its client has the end of the answer, so that requests one after the other
are never in each other's way. What was spent is what the database says and what is on its way
there. The latter is read first: a row that arrives between the two reads is counted twice for a
moment, and never missed.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import apsw

from airoxy.calendar import day_of
from airoxy.core.billing.pricing import PriceTable, most_nanousd
from airoxy.core.estimate import Estimate, ModelScan, read_estimate, read_models
from airoxy.core.limits.measures import PERIODS, Refusal, Use, wait_of
from airoxy.core.limits.refusal import refusal
from airoxy.core.limits.table import Limits
from airoxy.core.request.json_scan import paced
from airoxy.core.request.paths import BATCHES, MESSAGES
from airoxy.errors import AiroxyError, Forbidden, OverLimit, OverSpend
from airoxy.server.http.head import RequestHead
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.limits.reservations import Reservation
from airoxy.server.pauses import with_pauses
from airoxy.store import schema
from airoxy.store.limits import last_minute, spent

Body = bytes | bytearray | AsyncIterator[bytes]

#: Of a collected batch so much is looked through at once (bytes).
_STEP = 128 * 1024


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

    async def let_in(
        self, head: RequestHead, body: Body, limits: Limits, key_id: int, model: str | None
    ) -> tuple[Body, Reservation | None]:
        """Hold what the request may use. Also gives its body, which is looked at as it passes where
        it is too large to be held. Raises Forbidden, OverLimit."""
        if limits.models:
            body = await _within(limits, head, body, model)
        held = await self._admit(head, body, limits, key_id, model) if limits.metered else None
        return body, held

    async def _admit(
        self, head: RequestHead, body: Body, limits: Limits, key_id: int, model: str | None
    ) -> Reservation:
        path = head.path.rstrip("/")
        asks = head.method == "POST" and path == MESSAGES
        estimate, nanousd = Estimate(), 0
        if asks and (limits.spend or limits.tokens_per_minute is not None):
            if isinstance(body, bytes | bytearray):
                estimate = await with_pauses(paced(read_estimate(body)))
            nanousd = most_nanousd(
                self.prices,
                model,
                day_of(time.time()),
                estimate[:2],
                fast=estimate.fast,
            )
        costs = asks or (head.method == "POST" and path == BATCHES)
        now = time.time()
        with self.limit_counters.turn():
            slot = self._slot(key_id, now)
            decide = partial(refusal, limits, now=now, costs=costs)
            refused = decide(self._use(slot, key_id, limits, now))
            if refused and self.limit_counters.forget_dead(slot):
                refused = decide(self._use(slot, key_id, limits, now))
            if refused:
                raise _error(refused, now)
            self.limit_counters.count(slot, int(now), requests=1)
            return Reservation(self.limit_counters, key_id, slot, nanousd, estimate.tokens)

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


async def _within(limits: Limits, head: RequestHead, body: Body, model: str | None) -> Body:
    """`body`, if it asks for no model but those of the key."""
    if head.method != "POST":
        return body
    if head.path.rstrip("/") == BATCHES:
        pieces = _steps(body) if isinstance(body, bytes | bytearray) else body
        checked = _checked(limits, pieces)
        if pieces is body:
            return checked
        async for _ in checked:
            await asyncio.sleep(0)
    elif isinstance(body, bytes | bytearray):
        models = await with_pauses(paced(read_models(body)))
        for each in models:
            _check(limits, each)
        if not models and head.takes_system:
            _check(limits, model)
    return body


async def _steps(body: bytes | bytearray) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _STEP):
        yield bytes(body[start : start + _STEP])


async def _checked(limits: Limits, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a batch, the last not before all is seen: without its end it is no batch."""
    scan, found, last = ModelScan(), False, b""
    async for piece in pieces:
        for model in scan.feed(piece):
            found = True
            _check(limits, model)
        if last:
            yield last
        last = piece
    if not found:
        _check(limits, None)
    yield last


def _check(limits: Limits, model: str | None) -> None:
    if model is None:
        raise Forbidden(
            "This API key is limited to certain models, and the model of this request cannot be"
            " read."
        )
    if not limits.allows(model):
        raise Forbidden(
            f"This API key may not use the model {_shown(model)}; it may use"
            f" {', '.join(limits.models)}."
        )


def _shown(model: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in model)


def _error(refused: Refusal, now: float) -> AiroxyError:
    headers = [("retry-after", str(wait_of(refused.until, now)))]
    if refused.final:
        headers.append(("x-should-retry", "false"))
    return (OverSpend if refused.spent else OverLimit)(refused.message, headers=headers)
