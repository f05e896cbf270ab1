from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import pytest

from airoxy.errors import AiroxyError
from airoxy.server.limits import counters as module
from airoxy.server.limits.counters import REGION, SLOTS, LimitCounters
from airoxy.server.shared_memory import SharedMemory
from tests.conftest import NOON
from tests.server.killed import Notes, Step, run

FORK = multiprocessing.get_context("fork")
NOW = int(NOON)
SLOT = 0


def limited(_: int) -> bool:
    return True


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    with closing(SharedMemory.of(REGION)) as memory:
        yield memory


@pytest.fixture
def limit_counters(memory: SharedMemory) -> Iterator[LimitCounters]:
    limit_counters = LimitCounters(memory)
    limit_counters.add(7, limited)
    yield limit_counters
    limit_counters.close()


class Worker:
    """Another process that has its place in the same memory, and does one thing."""

    def __init__(self, memory: SharedMemory, work: Callable[[LimitCounters], object]) -> None:
        # Not events: who is killed while waiting for one keeps it from ever being set.
        done, self._done = os.pipe()
        self._waiting, self._end = os.pipe()
        self.process = FORK.Process(target=self._run, args=(memory, work))
        self.process.start()
        os.close(self._done)
        os.close(self._waiting)
        assert os.read(done, 1) == b"."
        os.close(done)

    def _run(self, memory: SharedMemory, work: Callable[[LimitCounters], object]) -> None:
        os.close(self._end)
        limit_counters = LimitCounters(memory)
        work(limit_counters)
        os.write(self._done, b".")
        os.read(self._waiting, 1)
        limit_counters.close()

    def end(self, kill: bool = False) -> None:
        if self.process.exitcode is None:
            if kill:
                self.process.kill()
            else:
                os.write(self._end, b".")
            os.close(self._end)
            self.process.join()


@pytest.fixture
def worker(memory: SharedMemory) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def worker(work: Callable[[LimitCounters], object]) -> Worker:
        made.append(Worker(memory, work))
        return made[-1]

    yield worker
    for each in made:
        each.end(kill=True)


def state(limit_counters: LimitCounters) -> tuple[int, int, int]:
    return limit_counters.running(SLOT), limit_counters.held(SLOT), limit_counters.tokens_held(SLOT)


def test_a_key_keeps_its_slot(limit_counters):
    assert limit_counters.find(7) == SLOT
    assert limit_counters.find(8) is None
    assert limit_counters.add(8, limited) == 1
    assert (limit_counters.find(7), limit_counters.find(8)) == (0, 1)


def test_what_is_held_is_given_back(limit_counters):
    limit_counters.hold(SLOT, 7, running=1, nanousd=500, tokens=30)
    limit_counters.hold(SLOT, 7, running=1, nanousd=100, tokens=10)
    assert state(limit_counters) == (2, 600, 40)
    limit_counters.hold(SLOT, 7, running=-1, nanousd=-500, tokens=-30)
    assert state(limit_counters) == (1, 100, 10)


def test_what_is_on_its_way_to_the_database_is_told_from_what_is_held(limit_counters):
    limit_counters.hold(SLOT, 7, running=1, nanousd=500, tokens=30)
    limit_counters.hold(SLOT, 7, nanousd=-500, tokens=-30, unwritten=120)
    assert (*state(limit_counters), limit_counters.unwritten(SLOT)) == (1, 0, 0, 120)


def test_a_row_may_be_written_after_all_is_closed(memory):
    limit_counters = LimitCounters(memory)
    slot = limit_counters.add(7, limited)
    limit_counters.close()
    limit_counters.hold(slot, 7, unwritten=-120)


def test_a_minute_has_sixty_seconds(limit_counters):
    limit_counters.count(SLOT, NOW, requests=1, tokens=10)
    limit_counters.count(SLOT, NOW + 1, requests=2)
    assert limit_counters.requests(SLOT, NOW + 1)[-3:] == [0, 1, 2]
    assert limit_counters.tokens(SLOT, NOW + 1)[-3:] == [0, 10, 0]
    assert limit_counters.requests(SLOT, NOW + 59)[:2] == [1, 2]
    assert limit_counters.requests(SLOT, NOW + 60)[0] == 2
    assert sum(limit_counters.requests(SLOT, NOW + 61)) == 0
    assert sum(limit_counters.tokens(SLOT, NOW + 61)) == 0


def test_after_a_long_time_nothing_is_left(limit_counters):
    limit_counters.count(SLOT, NOW, requests=5)
    assert sum(limit_counters.requests(SLOT, NOW + 60 * 1000)) == 0


def test_a_clock_that_is_set_back_neither_forgets_nor_stands_for_long(limit_counters):
    limit_counters.count(SLOT, NOW, requests=5)
    assert sum(limit_counters.requests(SLOT, NOW - 10)) == 5
    limit_counters.count(SLOT, NOW - 10, requests=1)
    assert limit_counters.requests(SLOT, NOW)[-1] == 6
    assert sum(limit_counters.requests(SLOT, NOW - 3600)) == 0


def test_what_the_log_recalls_takes_its_place(limit_counters):
    for second in range(NOW - 59, NOW + 1):
        limit_counters.count(SLOT, second, requests=1)
    assert limit_counters.requests(SLOT, NOW) == [1] * 60
    assert sum(limit_counters.requests(SLOT, NOW + 20)) == 40


def test_workers_see_what_the_others_hold_and_count(limit_counters, worker):
    def work(other: LimitCounters) -> None:
        other.hold(other.find(7), 7, running=2, nanousd=300, tokens=20)
        other.count(other.find(7), NOW, requests=1)
        other.add(9, limited)

    worker(work)
    limit_counters.hold(SLOT, 7, running=1, nanousd=50, tokens=5)
    assert state(limit_counters) == (3, 350, 25)
    assert sum(limit_counters.requests(SLOT, NOW)) == 1
    assert limit_counters.find(9) == 1


def test_who_lives_is_not_forgotten(limit_counters, worker):
    worker(lambda other: other.hold(SLOT, 7, running=1, nanousd=300, tokens=20))
    assert not limit_counters.forget_dead(SLOT)
    assert state(limit_counters) == (1, 300, 20)


@pytest.mark.parametrize("kill", [False, True])
def test_what_the_dead_hold_is_forgotten(limit_counters, worker, kill):
    worker(lambda other: other.hold(SLOT, 7, running=1, nanousd=300, tokens=20)).end(kill)
    limit_counters.hold(SLOT, 7, running=1, nanousd=50, tokens=5)
    assert limit_counters.forget_dead(SLOT)
    assert state(limit_counters) == (1, 50, 5)
    assert not limit_counters.forget_dead(SLOT)


def test_who_comes_next_clears_the_place_and_gives_none_of_it_back(limit_counters, worker):
    worker(lambda other: other.hold(SLOT, 7, running=1, nanousd=300, tokens=20)).end(kill=True)
    worker(lambda other: other.hold(SLOT, 7, running=1, nanousd=1, tokens=1))
    assert state(limit_counters) == (1, 1, 1)


def test_turns_keep_workers_from_losing_a_count(memory, limit_counters):
    def work(other: LimitCounters) -> None:
        for _ in range(2000):
            with other.turn():
                other.count(SLOT, NOW, requests=1)

    both = [FORK.Process(target=lambda: work(LimitCounters(memory))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sum(limit_counters.requests(SLOT, NOW)) == 4000


def test_where_all_slots_are_taken_one_without_limits_is_given_up(limit_counters):
    limit_counters.hold(SLOT, 7, running=1, nanousd=500, tokens=30)
    for key_id in range(8, 7 + SLOTS):
        limit_counters.add(key_id, limited)
    with pytest.raises(AiroxyError, match="client keys"):
        limit_counters.add(10_000, limited)
    assert limit_counters.add(10_000, lambda key_id: key_id != 7) == SLOT
    assert limit_counters.find(7) is None
    assert state(limit_counters) == (0, 0, 0)
    limit_counters.hold(SLOT, 7, running=-1, nanousd=-500, tokens=-30)  # its request ends
    assert state(limit_counters) == (0, 0, 0)


def test_a_kill_gives_no_key_a_slot_without_what_it_holds(monkeypatch):
    monkeypatch.setattr(module, "SLOTS", 1)
    for step in count():
        with closing(SharedMemory.of(REGION)) as memory:
            limit_counters = LimitCounters(memory)
            limit_counters.hold(limit_counters.add(7, limited), 7, running=1)

            async def add(limit_counters: LimitCounters = limit_counters) -> None:
                limit_counters.add(8, lambda _: False)

            was_killed = run(add, Step("MainThread", step), Notes())
            limit_counters.hold(SLOT, 7, running=-1)
            assert limit_counters.find(7) is None or limit_counters.running(SLOT) == 0
        if not was_killed:
            break


def test_there_is_a_place_for_each_worker_and_no_more(memory, worker, monkeypatch):
    monkeypatch.setattr(module, "PLACES", 2)
    first = worker(lambda _: None)
    worker(lambda _: None)
    with pytest.raises(AiroxyError, match="More than 2 workers"):
        LimitCounters(memory)
    first.end()
    LimitCounters(memory).close()
