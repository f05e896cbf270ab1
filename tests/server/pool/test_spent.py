"""What upstream tokens have spent: by days and months of a zone, whoever counts and whenever."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airoxy.server.limits.counters import REGION as COUNTERS
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.pool.spent import REGION, SLOTS, SpentByTokens, Writing
from airoxy.server.shared_memory import SharedMemory
from tests.conftest import NOON
from tests.server.killed import Notes, Step, run
from tests.server.test_writer import row

FORK = multiprocessing.get_context("fork")
TOKEN = 1
UTC, BERLIN, HAVANA = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana")


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    with closing(SharedMemory.of(REGION, COUNTERS)) as memory:
        yield memory


@pytest.fixture
def spent(memory: SharedMemory) -> Iterator[SpentByTokens]:
    with closing(LimitCounters(memory)) as counters:
        yield SpentByTokens(memory, counters)


def in_another_worker(memory: SharedMemory, work: Callable[[SpentByTokens], object]) -> None:
    """Which is killed then."""
    other = FORK.Process(target=lambda: work(SpentByTokens(memory, LimitCounters(memory))))
    other.start()
    other.join()
    assert not other.exitcode


@pytest.mark.parametrize(
    ("zone", "midnight", "ends_month"),
    [
        (UTC, "2026-11-24", False),
        (UTC, "2027-01-01", True),
        (UTC, "2028-03-01", True),
        (BERLIN, "2026-10-25", False),  # of 25 hours, from here on
        (BERLIN, "2026-10-26", False),
        (BERLIN, "2026-03-30", False),  # of 23 hours, until then
        (BERLIN, "2026-11-01", True),
        (HAVANA, "2026-03-08T01:00", False),  # whose midnight the clocks pass over
        (HAVANA, "2026-11-01", True),  # whose first hour comes twice
        (ZoneInfo("Pacific/Kiritimati"), "2027-01-01", True),
        (ZoneInfo("Pacific/Apia"), "2011-12-31", False),  # behind a day that was left out
    ],
)
def test_a_request_counts_on_the_day_on_which_it_came(
    memory: SharedMemory, zone: ZoneInfo, midnight: str, ends_month: bool
) -> None:
    over = datetime.fromisoformat(midnight).replace(tzinfo=zone).timestamp()
    with closing(LimitCounters(memory)) as counters:
        spent = SpentByTokens(memory, counters, zone)
        spent.begin_with(TOKEN, over - 60, 5, 7)
        spent.add(TOKEN, 3, over - 1, over - 50)
        assert spent.get(TOKEN, over - 1) == (5 + 3, 7 + 3)
        assert spent.get(TOKEN, over) == (0, 0 if ends_month else 7 + 3)
        spent.add(TOKEN, 3, over + 1, over - 50)
        of_before = 0 if ends_month else 7 + 3 + 3
        assert spent.get(TOKEN, over + 1) == (0, of_before)
        spent.add(TOKEN, 2, over + 1, over)
        assert spent.get(TOKEN, over + 1) == (2, of_before + 2)


@pytest.mark.parametrize("midnight", ["2026-11-24", "2027-01-01"])
@pytest.mark.parametrize(
    "late",
    [
        lambda spent, before: spent.add(TOKEN, 1, before, before),
        lambda spent, before: spent.begin_with(TOKEN, before, 5, 7),
        lambda spent, before: spent.take_back(TOKEN, 1, before, 5, 7),
    ],
    ids=["add", "begin_with", "take_back"],
)
def test_a_worker_that_is_late_at_midnight_takes_nothing_from_the_new_day(
    spent: SpentByTokens, midnight: str, late: Any
) -> None:
    """It looked at the clock before, and waited for the database or a lock."""
    over = datetime.fromisoformat(midnight).replace(tzinfo=UTC).timestamp()
    spent.begin_with(TOKEN, over - 60, 5, 7)
    spent.add(TOKEN, 4, over + 1, over)
    late(spent, over - 0.001)
    assert spent.get(TOKEN, over + 1)[0] == 4


@pytest.mark.parametrize("midnight", ["2026-11-24", "2027-01-01"])
def test_nobody_sees_what_was_spent_before_as_spent_in_a_new_period(
    memory: SharedMemory, spent: SpentByTokens, midnight: str
) -> None:
    """Words are written one by one, and read without a lock."""
    over = datetime.fromisoformat(midnight).replace(tzinfo=UTC).timestamp()
    seen, seen_before = set[int](), set[int]()
    words = memory.words(REGION)

    class Watched:
        def __getitem__(self, at: Any) -> Any:
            return words[at]

        def __setitem__(self, at: Any, value: Any) -> None:
            words[at] = value
            seen.update(spent.get(TOKEN, over + 1)[:1])
            seen_before.update(spent.get(TOKEN, over - 1)[:1])
            if midnight.endswith("01-01"):
                seen.update(spent.get(TOKEN, over + 1)[1:])

    for day in (3, 2, 1):
        spent.add(TOKEN, 1000, over - day * 86_400, over - day * 86_400 + 1)
    spent._words = Watched()  # type: ignore[assignment]
    spent.add(TOKEN, 4, over + 1, over)
    assert seen == {0, 4}
    assert seen_before == {1000}


def test_a_request_of_days_ago_counts_for_none_of_these_days(spent: SpentByTokens) -> None:
    spent.add(TOKEN, 7, NOON, NOON)
    spent.add(TOKEN, 2, NOON, NOON - 2 * 86_400)
    spent.add(TOKEN, 3, NOON, NOON - 62 * 86_400)
    assert spent.get(TOKEN, NOON) == (7, 7 + 2)


def test_a_clock_that_was_wrong_is_forgotten(spent: SpentByTokens) -> None:
    for years in (10, 0):
        then = NOON + years * 365 * 86_400
        spent.add(TOKEN, 7, then, then)
        assert spent.get(TOKEN, then) == (7, 7)


def test_a_place_is_another_tokens_where_there_are_more_than_places(spent: SpentByTokens) -> None:
    spent.add(TOKEN, 7, NOON, NOON)
    spent.add(TOKEN + SLOTS, 2, NOON, NOON)
    assert spent.get(TOKEN + SLOTS, NOON) == (2, 2)
    assert spent.get(TOKEN, NOON) == (0, 0)


def test_what_other_workers_have_counted_and_not_written_is_added_to_what_the_database_has(
    memory: SharedMemory, spent: SpentByTokens
) -> None:
    def work(other: SpentByTokens) -> None:
        other.add(TOKEN, 3, NOON, NOON)
        other.add(TOKEN, 4, NOON, NOON - 86_400)
        other.add(TOKEN, 2, NOON, NOON)
        other.written(TOKEN, 2, NOON)

    in_another_worker(memory, work)
    spent.add(TOKEN, 1, NOON, NOON)
    spent.begin_with(TOKEN, NOON, 10 + 2, 20 + 2)
    assert spent.get(TOKEN, NOON) == (10 + 2 + 3 + 1, 20 + 2 + 3 + 4 + 1)


def test_what_a_killed_worker_has_counted_counts_once_when_another_one_has_written_it(
    memory: SharedMemory, spent: SpentByTokens
) -> None:
    in_another_worker(memory, lambda other: other.add(TOKEN, 3, NOON, NOON))
    spent.forget_dead(TOKEN)
    assert spent.get(TOKEN, NOON) == (3, 3)
    spent.begin_with(TOKEN, NOON, 3, 3)
    assert spent.get(TOKEN, NOON) == (3, 3)


def test_a_row_that_is_tried_again_is_taken_from_what_is_not_written_once(
    spent: SpentByTokens,
) -> None:
    for nanousd in (6, 100):
        spent.add(TOKEN, nanousd, NOON, NOON)
    writing, nothing = Writing(spent, TOKEN, 6, NOON), Any
    for _ in range(2):
        writing(nothing, row())
    spent.begin_with(TOKEN, NOON, 1006, 1006)  # with what was not counted here
    assert spent.get(TOKEN, NOON) == (1106, 1106)


def test_what_was_counted_before_by_another_fetch_is_taken_back(spent: SpentByTokens) -> None:
    spent.begin_with(TOKEN, NOON, 6, 6)
    spent.add(TOKEN, 6, NOON, NOON)
    nothing: Any = None
    Writing(spent, TOKEN, 6, NOON)(nothing, row()._replace(cost_nanousd=0))
    assert spent.get(TOKEN, NOON) == (6, 6)


def test_a_kill_at_midnight_leaves_no_sum_of_yesterday_to_today() -> None:
    """Of the month, whoever writes the row knows it again."""
    over = datetime.fromisoformat("2026-11-24").replace(tzinfo=UTC).timestamp()
    found = set()
    for step in count():
        with closing(SharedMemory.of(REGION, COUNTERS)) as memory:
            spent = SpentByTokens(memory, LimitCounters(memory))
            spent.begin_with(TOKEN, over - 60, 5, 7)

            async def spend(spent: SpentByTokens = spent) -> None:
                spent.add(TOKEN, 2, over + 1, over)

            was_killed = run(spend, Step("MainThread", step), Notes())
            found.add(spent.get(TOKEN, over + 1))
        if not was_killed:
            break
    assert found == {(0, 7), (2, 7), (2, 9)}
