"""Tokens with limits of their own are not used above them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Coroutine
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from airoxy.config import load_config
from airoxy.core.limits.division import HostShare
from airoxy.core.pool import EVERYTHING, OwnLimits, Token
from airoxy.server.app import open_server
from airoxy.server.limits.counters import REGION as COUNTERS
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.pool.pool import Wanted
from airoxy.server.pool.spent import REGION, SpentByTokens
from airoxy.server.pool.token_limits import TokenLimits
from airoxy.server.process.memory import LAYOUT
from airoxy.server.proxy.proxy import Proxy
from airoxy.server.shared_memory import SharedMemory
from airoxy.store.fleet import membership
from airoxy.store.fleet.shares import DividedLimit, keep_shares
from airoxy.store.schema import transaction
from airoxy.store.tokens import set_token
from tests.fake_anthropic import FakeAnthropic
from tests.program import Airoxy
from tests.server.pool.pooled import ONE, TWO, ask, listed

FORK = multiprocessing.get_context("fork")


def start(install, **settings) -> tuple[Airoxy, str]:
    airoxy = install(**settings).start()
    for name, secret in (("one", ONE), ("two", TWO)):
        airoxy.token(secret, name=name)
    return airoxy, airoxy.key()


def spent(airoxy: Airoxy, name: str) -> int:
    return listed(airoxy)[name]["spent_today_nanousd"] or 0


@pytest.mark.parametrize("limit", ["--spend-per-day", "--spend-per-month"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_token_that_has_spent_its_limit_is_left(install, upstream, limit, workers):
    airoxy, key = start(install, workers=workers)
    airoxy.cli("token", "set", "one", limit, "0.000001")
    for _ in range(2):
        assert ask(airoxy, key).status == 200
    deadline = time.monotonic() + 60
    while not spent(airoxy, "one"):
        assert time.monotonic() < deadline
    upstream.clear()
    session = {"x-claude-code-session-id": "0b5c1f52-aaaa-bbbb-cccc-000000000001"}
    for number in range(6):
        assert ask(airoxy, key, headers=session if number % 2 else {}).status == 200
    assert set(upstream.tokens) == {TWO}
    assert "spent: its limit" in airoxy.cli("token", "list")
    airoxy.cli("token", "disable", "two")
    answer = ask(airoxy, key)
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 31 * 86400
    airoxy.cli("token", "set", "one", limit, "100")
    assert ask(airoxy, key).status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_asks_one_after_the_other_passes_a_limit_by_no_request(install, upstream, workers):
    airoxy, key = start(install, workers=workers)
    airoxy.cli("token", "disable", "two")
    airoxy.cli("token", "set", "one", "--spend-per-day", "0.01")
    upstream.set_usage(input_tokens=0, output_tokens=50)  # a tenth of it: 50 at 20 $ a million
    served = 0
    while (status := ask(airoxy, key).status) == 200:
        served += 1
        assert served <= 10
    assert (status, served) == (429, 10)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_spent_counts_after_a_restart(install, upstream, workers):
    airoxy, key = start(install, workers=workers)
    airoxy.cli("token", "set", "one", "--spend-per-month", "0.000001")
    for _ in range(2):
        ask(airoxy, key)
    assert set(upstream.tokens) == {ONE, TWO}
    airoxy.stop()
    airoxy.start()
    upstream.clear()
    for _ in range(4):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens == [TWO] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_only_so_many_requests_run_with_a_token(install, upstream: FakeAnthropic, workers):
    airoxy, key = start(install, workers=workers)
    airoxy.cli("token", "set", "one", "--concurrent", "1")
    airoxy.cli("token", "set", "one", "--priority", "5")
    hold = upstream.script(token=ONE).hold()
    thread = threading.Thread(target=ask, args=(airoxy, key))
    thread.start()
    hold.wait_arrived()
    for _ in range(4):
        assert ask(airoxy, key).status == 200
    assert upstream.tokens == [ONE, TWO, TWO, TWO, TWO]
    hold.open()
    thread.join()
    deadline = time.monotonic() + 60
    while upstream.tokens[-1] != ONE:
        assert ask(airoxy, key).status == 200
        assert time.monotonic() < deadline


def test_who_asks_one_thing_after_the_other_is_never_in_his_own_way(install):
    """Whichever worker he comes to, each of which may be slow to end the request before."""
    airoxy, key = start(install, workers=2)
    airoxy.cli("token", "disable", "two")
    airoxy.cli("token", "set", "one", "--concurrent", "1")
    for stream in (False, True) * 100:
        assert ask(airoxy, key, stream=stream).status == 200


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_request_has_spent_counts_before_its_place_is_free(waits: bool) -> None:
    done: list[str] = []

    async def remember() -> None:
        await asyncio.sleep(0)
        done.append("counted")

    def before_end(*_: object) -> Coroutine[Any, Any, None] | None:
        if waits:
            return remember()
        done.append("counted")
        return None

    proxy: Any = SimpleNamespace(
        ended=SimpleNamespace(before_end=before_end),
        pool=SimpleNamespace(release=lambda _: done.append("free")),
    )
    nothing: Any = None
    asyncio.run(Proxy._end_and_release(proxy, nothing, nothing, None))
    assert done == ["counted", "free"]


def test_a_request_that_fails_gives_its_place_back(install, upstream):
    airoxy, key = start(install)
    airoxy.cli("token", "disable", "two")
    airoxy.cli("token", "set", "one", "--concurrent", "1")
    for _ in range(3):
        upstream.script(token=ONE).status(500)
        assert ask(airoxy, key).status == 500
    upstream.script(token=ONE).hang_up()
    assert ask(airoxy, key).status in (200, 502)
    assert ask(airoxy, key).status == 200


def test_what_the_dead_hold_is_forgotten_in_a_turn_in_which_no_worker_takes_their_place() -> None:
    free: list[bool] = []

    class Watched(LimitCounters):
        def forget_dead(self, slot: int) -> bool:
            other = FORK.Process(target=lambda: os._exit(not turn.try_acquire()))
            other.start()
            other.join()
            free.append(not other.exitcode)
            return super().forget_dead(slot)

    with closing(SharedMemory.of(REGION, COUNTERS)) as memory:
        turn = memory.lock(COUNTERS, "turn")
        with closing(Watched(memory)) as counters:
            limits = TokenLimits(SpentByTokens(memory, counters), counters)
            token = Token(1, "one", "api_key", ONE, None, 0, limits=OwnLimits(None, None, 1))
            assert not limits.is_busy(token)
            limits.start(token)
            assert limits.is_busy(token)
    assert free == [False]


def test_a_token_at_its_limit_is_looked_at_for_the_dead_now_and_then() -> None:
    """For each request that passes it over that would be 15 µs for each worker."""
    looks, clock = [0], [100.0]

    class Watched(LimitCounters):
        def forget_dead(self, slot: int) -> bool:
            looks[0] += 1
            return super().forget_dead(slot)

    def run_and_die() -> None:
        counters = LimitCounters(memory)
        TokenLimits(SpentByTokens(memory, counters), counters).start(token)

    token = Token(1, "one", "api_key", ONE, None, 0, limits=OwnLimits(None, None, 1))
    with closing(SharedMemory.of(REGION, COUNTERS)) as memory:
        with closing(Watched(memory)) as counters:
            limits = TokenLimits(SpentByTokens(memory, counters), counters, clock=lambda: clock[0])
            limits.start(token)
            assert [limits.is_busy(token) for _ in range(100)] == [True] * 100
            assert looks == [1]
            limits.end(token)
            assert not limits.is_busy(token)
            other = FORK.Process(target=run_and_die)
            other.start()
            other.join()
            clock[0] += 0.1
            assert not limits.is_busy(token)


def test_a_request_that_came_before_its_host_gave_up_a_share_is_not_let_in_by_it(install):
    """Its body may have taken minutes to come."""
    airoxy = install()
    airoxy.token(ONE, name="one")
    daily = DividedLimit(-1, "day")
    with airoxy.opened() as db, transaction(db):
        set_token(db, 1, {"spend_per_day_nanousd": 100})
        membership.enter(db, host="a", name="a", url="", nonce="n", now=0)
        membership.note_hosts(db, 2)
        keep_shares(db, {daily: HostShare(50, 100)}, smaller=False)

    async def admitted() -> list[bool]:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        pool, found = app.proxy.pool, []
        for share in (50, 0):
            with airoxy.opened() as db, transaction(db):
                keep_shares(db, {daily: HostShare(share, 100)}, smaller=True)
            wanted = Wanted(EVERYTHING)
            found.append(await pool.next(wanted) is not None)
            pool.release(wanted)
        await app.aclose()
        return found

    assert asyncio.run(admitted()) == [True, False]
