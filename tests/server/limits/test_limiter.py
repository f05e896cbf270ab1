"""What is on its way to the database while a request asks to be admitted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.calendar import day_of, next_day
from airoxy.core.billing.pricing import PriceTable
from airoxy.core.limits.holders import KeyLimits, of_key
from airoxy.core.limits.table import Limits
from airoxy.errors import OverSpend
from airoxy.server.http.head import RequestHead
from airoxy.server.limits import limiter as module
from airoxy.server.limits.counters import REGION, LimitCounters
from airoxy.server.limits.limiter import Limiter
from airoxy.server.limits.reservations import Reservation
from airoxy.server.shared_memory import SharedMemory
from tests.conftest import NOON
from tests.databases import open_new
from tests.store.seed import append, row

KEY, COST = 1, 100
HEAD = RequestHead(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n\r\n")
LIMITS = KeyLimits.of(of_key(KEY, Limits(spend_per_day=2 * COST)))


@pytest.fixture
def counters() -> Iterator[LimitCounters]:
    with closing(SharedMemory.of(REGION)) as memory, closing(LimitCounters(memory)) as counters:
        yield counters


@pytest.fixture
def db(tmp_path: Path) -> Iterator[apsw.Connection]:
    """In it a request that has cost half of what the limit allows."""
    with closing(open_new(tmp_path / "airoxy.db")) as db:
        append(db, row(day_of(time.time()), api_key_id=KEY, cost_nanousd=COST))
        yield db


@pytest.fixture
def limiter(counters: LimitCounters, db: apsw.Connection) -> Limiter:
    return Limiter(counters, lambda _: True, db, PriceTable({}, {}))


def ask_while_written(limiter: Limiter, taken_back_after: int | None) -> Reservation:
    """Ask when the row has just been committed and still counts as one that is on its way, until
    so many steps of the loop's sleep later."""
    counters = limiter.limit_counters
    slot = counters.add(KEY, lambda _: True)
    counters.hold(slot, KEY, unwritten=COST)

    async def ask() -> Reservation:
        if taken_back_after is not None:
            delay = taken_back_after * module.LOOK_AGAIN
            loop = asyncio.get_running_loop()
            loop.call_later(delay, lambda: counters.hold(slot, KEY, unwritten=-COST))
        assert LIMITS is not None
        return await limiter.admit(HEAD, LIMITS)

    return asyncio.run(ask())


@pytest.mark.parametrize("taken_back_after", [0, 1, 3])
def test_nobody_is_refused_for_a_cost_that_counts_twice_for_a_moment(
    limiter: Limiter, counters: LimitCounters, taken_back_after: int
) -> None:
    reservation = ask_while_written(limiter, taken_back_after)
    (slot,) = reservation.slots.values()
    assert counters.running(slot) == 1
    assert sum(counters.requests(slot, int(time.time()))) == 1
    # It has asked once, however often it was decided.
    assert counters.totals(range(slot, slot + 1), int(time.time()))[KEY].asked == 1


def test_a_cost_that_does_not_arrive_is_not_waited_for_without_end(limiter: Limiter) -> None:
    with pytest.raises(OverSpend):
        ask_while_written(limiter, None)


def test_an_answer_tells_of_the_day_on_which_its_request_was_admitted(limiter: Limiter) -> None:
    """Though it comes when that is over."""
    assert LIMITS is not None
    (holder,) = LIMITS.metered
    limiter._use(limiter.limit_counters.add(KEY, lambda _: True), holder, NOON)
    reset = (b"anthropic-ratelimit-unified-day-reset", b"%d" % next_day(NOON))
    assert reset in limiter.windows([holder])
