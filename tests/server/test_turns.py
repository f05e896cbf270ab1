"""A key that floods the event loop, and another one that asks once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from airoxy.server.turns import AT_ONCE, Turns, TurnsOfKey

FLOODING, OTHER = 1, 2
#: So long keys share the turns where a test is not about how long they do.
AN_HOUR = 3600.0


def test_a_key_that_is_alone_never_waits():
    turns = Turns()
    turns.are_shared(FLOODING, 100.0)
    assert not any(turns.are_shared(FLOODING, 101.0 + n / 1000) for n in range(1000))


def test_keys_wait_for_each_other_until_one_has_been_silent_for_a_second():
    turns = Turns()
    turns.are_shared(FLOODING, 100.0)
    assert turns.are_shared(OTHER, 102.0)
    assert turns.are_shared(FLOODING, 102.1)
    assert turns.are_shared(FLOODING, 102.9)
    assert not turns.are_shared(FLOODING, 103.2)


async def begun(turns: Turns, keys: list[int], order: list[int]) -> None:
    async def begin(key: int) -> None:
        await turns.wait(key)
        order.append(key)

    await asyncio.gather(*(begin(key) for key in keys))


def test_another_keys_request_begins_before_a_flood_that_came_earlier():
    order: list[int] = []
    asyncio.run(begun(Turns(), [FLOODING] * 64 + [OTHER], order))
    assert order.index(OTHER) <= 2 * AT_ONCE
    assert order.count(FLOODING) == 64


def test_the_requests_of_a_flood_begin_in_their_order_and_a_few_in_a_turn():
    async def flood() -> list[int]:
        turns, turn, began = Turns(), [0], []

        async def begin(number: int) -> None:
            await turns.wait(FLOODING)
            began.append((number, turn[0]))

        def count() -> None:
            turn[0] += 1
            if len(began) < 20:
                asyncio.get_running_loop().call_soon(count)

        count()
        await asyncio.gather(*(begin(number) for number in range(20)))
        assert [number for number, _ in began] == list(range(20))
        return [sum(1 for _, at in began if at == one) for one in range(turn[0] + 1)]

    assert max(asyncio.run(flood())) <= AT_ONCE


def test_who_leaves_while_it_waits_keeps_nobody_waiting():
    async def leave() -> list[int]:
        turns, order = Turns(), []
        tasks = [asyncio.ensure_future(begun(turns, [FLOODING], order)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[2:6]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order

    assert len(asyncio.run(leave())) == 6


def in_turns(work: Callable[[Turns, list[str]], None], turns: int) -> list[list[str]]:
    """What has happened in each of so many turns of a loop."""

    async def run() -> list[list[str]]:
        shared, done, told = Turns(AN_HOUR), list[str](), list[list[str]]()
        shared.are_shared(FLOODING, time.time())
        shared.are_shared(OTHER, time.time())
        work(shared, done)
        for _ in range(turns):
            told.append(done[:])
            done.clear()
            await asyncio.sleep(0)
        return told

    return asyncio.run(run())


def note(done: list[str], word: str, cost: int) -> Callable[[], int]:
    def go_on() -> int:
        done.append(word)
        return cost

    return go_on


def test_what_is_dear_takes_the_whole_turn_of_its_key_and_none_of_anothers():
    def work(turns: Turns, done: list[str]) -> None:
        for _ in range(2):
            turns.queue(FLOODING, note(done, "dear", AT_ONCE))
            turns.queue(OTHER, note(done, "cheap", 1))

    assert in_turns(work, 3) == [[], ["dear", "cheap", "cheap"], ["dear"]]


def test_what_is_not_needed_any_more_takes_nothing_of_a_turn():
    def work(turns: Turns, done: list[str]) -> None:
        for cost in (0, 0, 1, 1, 1):
            turns.queue(FLOODING, note(done, str(cost), cost))

    assert in_turns(work, 3) == [[], ["0", "0", "1", "1"], ["1"]]


def test_what_comes_while_others_of_its_key_wait_waits_behind_them():
    turns = Turns()

    async def run() -> bool:
        turns.queue(FLOODING, lambda: 1)
        return turns.begin(FLOODING) or not turns.begin(OTHER)

    assert not asyncio.run(run())


def test_steps_of_a_floods_bodies_are_one_in_a_turn_for_all_of_them():
    def work(turns: Turns, done: list[str]) -> None:
        async def look() -> None:
            for _ in range(3):
                done.append("step")
                await TurnsOfKey(turns, FLOODING).pause()

        turns.keep = [asyncio.ensure_future(look()) for _ in range(8)]  # type: ignore[attr-defined]

    steps = [len(each) for each in in_turns(work, 40)]
    assert sum(steps) == 24
    assert max(steps[2:]) == 1
