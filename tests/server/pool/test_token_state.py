import multiprocessing
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from airoxy.core.pool import EVERY_CLASS, EVERY_GROUP, Token
from airoxy.server.pool.token_state import REGION, SLOTS, TokenState
from airoxy.server.shared_memory import SharedMemory

FORK = multiprocessing.get_context("fork")


def token(number: int, reset_at: int = 0) -> Token:
    return Token(number, f"token {number}", "api_key", f"sk-ant-api-{number}", None, reset_at)


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    with closing(SharedMemory.of(REGION)) as memory:
        yield memory


@pytest.fixture
def token_state(memory: SharedMemory) -> TokenState:
    return TokenState(memory)


def test_a_token_nobody_used_was_never_used(token_state):
    assert token_state.last_used(token(1)) == 0
    assert token_state.cooling_until(token(1), "claude-opus-4") == 0


def test_every_use_is_later_than_the_one_before_even_when_the_clock_stands(token_state):
    uses = [token_state.mark_used(1, 1000) for _ in range(3)]
    assert uses == [1000, 1001, 1002]
    assert token_state.last_used(token(1)) == 1002


def test_a_use_is_later_than_those_of_before_the_clock_was_set_back(token_state):
    token_state.recall(1, 7000)
    token_state.mark_used(2, 9000)
    assert token_state.mark_used(1, 1000) > token_state.last_used(token(2))
    assert token_state.mark_used(2, 1001) > token_state.last_used(token(1))


def test_what_the_database_recalls_never_sets_a_use_back(token_state):
    token_state.recall(1, 0)
    assert token_state.last_used(token(1)) == 0
    token_state.mark_used(1, 1000)
    token_state.recall(1, 500)
    assert token_state.last_used(token(1)) == 1000


@pytest.mark.parametrize(
    "happens",
    [
        lambda state: state.cool(1, "claude-opus-4", 50.0, set_at_ns=10),
        lambda state: state.spare(1, {"opus": 50.0}),
        lambda state: state.deactivate(token(1), 10),
    ],
)
def test_it_is_quiet_until_something_keeps_a_token_from_being_used(token_state, happens):
    assert token_state.is_quiet(20 * 10**9)
    happens(token_state)
    assert not token_state.is_quiet(20 * 10**9)
    assert token_state.is_quiet(10**18)


def test_a_token_cools_for_one_class_and_serves_the_others(token_state):
    token_state.cool(1, "claude-opus-4", 50.5, set_at_ns=10)
    assert token_state.cooling_until(token(1), "claude-opus-4") == 50.5
    assert token_state.cooling_until(token(1), "claude-sonnet-4") == 0
    assert token_state.cooling_until(token(2), "claude-opus-4") == 0


def test_a_cooling_of_every_class_holds_for_each(token_state):
    token_state.cool(1, "claude-opus-4", 50, set_at_ns=10)
    token_state.cool(1, EVERY_CLASS, 90, set_at_ns=10)
    assert token_state.cooling_until(token(1), "claude-opus-4") == 90
    assert token_state.cooling_until(token(1), "") == 90


def test_a_reset_token_has_no_cooling_from_before(token_state):
    token_state.cool(1, "claude-opus-4", 50, set_at_ns=10)
    assert token_state.cooling_until(token(1, reset_at=10), "claude-opus-4") == 0
    token_state.cool(1, "claude-opus-4", 60, set_at_ns=11)
    assert token_state.cooling_until(token(1, reset_at=10), "claude-opus-4") == 60


def test_with_more_scopes_than_places_the_one_that_ends_first_gives_way(token_state):
    for number in range(17):
        token_state.cool(1, f"class {number}", 100 + number, set_at_ns=10)
    assert token_state.cooling_until(token(1), "class 0") == 0
    assert [token_state.cooling_until(token(1), f"class {n}") for n in range(1, 17)] == [
        100 + n for n in range(1, 17)
    ]


@pytest.mark.parametrize(
    ("cools", "group", "model_class", "cooling"),
    [
        (("messages", "claude-opus-4"), "messages", "claude-opus-4", True),
        (("messages", "claude-opus-4"), "count_tokens", "claude-opus-4", False),
        (("messages", "claude-opus-4"), "messages", "claude-sonnet-4", False),
        (("files", EVERY_CLASS), "files", "", True),
        (("files", EVERY_CLASS), "messages", "claude-opus-4", False),
        ((EVERY_GROUP, "claude-opus-4"), "batches", "claude-opus-4", True),
        ((EVERY_GROUP, EVERY_CLASS), "others", "anything", True),
    ],
)
def test_a_cooldown_holds_for_its_endpoint_group_and_model_class(
    token_state, cools, group, model_class, cooling
):
    token_state.cool(1, cools[1], 50, set_at_ns=10, group=cools[0])
    assert (token_state.cooling_until(token(1), model_class, group) == 50) is cooling


def test_a_deactivated_token_is_not_used_until_it_has_a_new_secret(token_state):
    dead, other = token(1), token(2)
    token_state.deactivate(dead, 100)
    assert token_state.active([dead, other], 101) == [other]
    renewed = replace(dead, secret="sk-ant-api-new")
    assert token_state.active([renewed, other], 101) == [renewed, other]


def test_a_deactivated_token_is_used_again_when_it_is_reset(token_state):
    token_state.deactivate(token(1), 100)
    assert token_state.active([token(1, reset_at=99)], 101) == []
    assert token_state.active([token(1, reset_at=100)], 101) == [token(1, reset_at=100)]


def test_what_the_database_knows_of_a_deactivation_counts_a_second_later(token_state):
    token_state.deactivate(token(1), 100)
    token_state.deactivation_written(token(1), 200)
    assert token_state.active([token(1)], 300) == []
    assert token_state.active([token(1)], 200 + 10**9) == [token(1)]


def test_a_later_token_in_the_same_slot_inherits_nothing(token_state):
    token_state.mark_used(1, 1000)
    token_state.cool(1, EVERY_CLASS, 50, set_at_ns=10)
    heir = token(1 + SLOTS)
    assert token_state.last_used(heir) == 0
    assert token_state.cooling_until(heir, EVERY_CLASS) == 0


def _use(memory: SharedMemory, times: int, start) -> None:
    worker = TokenState(memory, shared=True)
    start.wait()
    for _ in range(times):
        with worker.choice:
            # Not atomic by itself: only the turn keeps two workers from losing a step.
            worker.mark_used(1, worker.last_used(token(1)))


def test_workers_share_one_memory_and_take_turns(memory):
    start = FORK.Barrier(2)
    workers = [FORK.Process(target=_use, args=(memory, 2000, start)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert TokenState(memory, shared=True).last_used(token(1)) == 4000


def _cool(memory: SharedMemory, name: str, rounds: int, start) -> None:
    worker = TokenState(memory, shared=True)
    for number in range(1, rounds + 1):
        start.wait()
        worker.cool(number, name, 50, set_at_ns=10)


def test_workers_that_cool_one_token_at_once_lose_no_cooldown(memory, token_state):
    start = FORK.Barrier(2)
    rounds, names = 1500, ("claude-opus-4", "claude-sonnet-4")
    workers = [FORK.Process(target=_cool, args=(memory, name, rounds, start)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lost = [
        (number, name)
        for number in range(1, rounds + 1)
        for name in names
        if not token_state.cooling_until(token(number), name)
    ]
    assert lost == []


def test_any_cooling_is_known_as_long_as_it_lasts(token_state):
    assert not token_state.any_cools(10)
    token_state.cool(1, "claude-opus-4", 50, set_at_ns=10)
    token_state.cool(2, "claude-opus-4", 40, set_at_ns=10)
    assert token_state.any_cools(49)
    assert not token_state.any_cools(50)


def test_a_token_is_spared_for_families_of_models(token_state):
    token_state.spare(1, {"opus": 50.5, "": 20.0})
    assert token_state.any_spared(50)
    assert not token_state.any_spared(51)
    assert token_state.spare_until(token(1), "claude-opus-4") == 50.5
    assert token_state.spare_until(token(1), "claude-sonnet-4") == 20
    assert token_state.spare_until(token(1), EVERY_CLASS) == 20
    assert token_state.spare_until(token(2), "claude-opus-4") == 0
    token_state.spare(1, {})
    assert token_state.spare_until(token(1), "claude-opus-4") == 0


def test_of_many_families_those_are_remembered_that_last_longest(token_state):
    token_state.spare(1, {name: 10.0 + number for number, name in enumerate("abcdefgh")})
    assert token_state.spare_until(token(1), "x-h") == 17
    assert token_state.spare_until(token(1), "x-a") == 0
