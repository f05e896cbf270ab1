"""The next token is found without a look at all of them, and is the one that a look would find."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pytest

from airoxy.core import pool
from airoxy.core.pool import Token, affinity
from airoxy.core.token_queue import LONGEST_REST, TokenQueue


class World:
    """Tokens, when they were used and when they are ready; counts how often it is asked."""

    def __init__(self, count: int) -> None:
        self.tokens = {n: Token(n, f"token {n}", "api_key", f"s{n}", None, 0) for n in
                       range(1, count + 1)}  # fmt: skip
        self.used: dict[int, int] = {}
        self.until: dict[int, float] = {}
        self.asked = 0
        self.clock = 0
        self.now = 0.0
        self.queue = TokenQueue(self.tokens.values(), self.last_used, self.ready_at)

    def last_used(self, token: Token) -> int:
        self.asked += 1
        return self.used.get(token.id, 0)

    def ready_at(self, token: Token) -> float:
        self.asked += 1
        return math.inf if token.expired(self.now) else self.until.get(token.id, 0)

    def use(self, token_id: int) -> None:
        self.clock += 1
        self.used[token_id] = self.clock

    def is_able(self, now: float, tried: frozenset[int], token: Token) -> bool:
        return token.id not in tried and self.ready_at(token) <= now

    def take(self, now: float = 0, tried: frozenset[int] = frozenset()) -> Token | None:
        token = self.queue.first(now, lambda token: token.id in tried)
        if token is not None:
            self.use(token.id)
        return token

    def expected(self, now: float, tried: frozenset[int], session: bytes | None) -> Token | None:
        by_id = sorted(self.tokens.values(), key=lambda token: token.id)
        able = pool.ready(by_id, self.ready_at, now, tried)
        best = max((token.priority for token in able), default=0)
        able = [token for token in able if token.priority == best]
        if session is None:
            return min(able, key=self.last_used, default=None)
        return max(able, key=lambda token: (affinity(session, token), -token.id), default=None)


def test_tokens_take_turns_and_those_never_used_come_first_by_id() -> None:
    world = World(3)
    world.use(1)
    assert [world.take().id for _ in range(5)] == [2, 3, 1, 2, 3]


def test_the_use_by_another_process_counts() -> None:
    world = World(3)
    world.use(1)
    world.use(2)
    assert world.take().id == 3
    assert world.take().id == 1


def is_tried(tried: frozenset[int], token: Token) -> bool:
    return token.id in tried


@pytest.mark.parametrize("seed", range(20))
def test_it_chooses_what_a_look_at_all_would_choose(seed: int) -> None:
    rng = random.Random(seed)
    world, now = World(12), 0.0
    for _ in range(400):
        world.now = now = now + rng.random()
        number = rng.randint(1, 12)
        match rng.randint(0, 5):
            case 0:
                # As cooldowns are: a later one of the same kind ends later.
                world.until[number] = max(world.until.get(number, 0), now + rng.random() * 4)
            case 1:
                world.use(number)
            case 2 if number in world.tokens:
                expires_at = rng.choice((None, now + rng.random() * 9))
                changed = replace(
                    world.tokens[number], priority=rng.randint(-1, 1), expires_at=expires_at
                )
                world.tokens[number] = changed
                world.queue.put(changed)
            case 3 if len(world.tokens) > 3:
                world.tokens.pop(number, None)
                world.queue.drop(number)
            case 4 if number not in world.tokens:
                world.tokens[number] = Token(number, f"token {number}", "api_key", "s", None, 0)
                world.queue.put(world.tokens[number])
        tried = frozenset(rng.sample(range(1, 13), rng.randint(0, 3)))
        first = world.queue.first(now, partial(is_tried, tried))
        assert first == world.expected(now, tried, None)
        session = b"%d" % rng.randint(0, 5)
        mine = world.queue.of_session(session, partial(world.is_able, now, tried))
        assert mine == world.expected(now, tried, session)
        for each in (None, session):
            is_ready = partial(world.is_able, now, frozenset())
            at_front = world.queue.at_once(each, now, is_ready)
            assert at_front in (None, world.expected(now, frozenset(), each))
        if all(until <= now for until in world.until.values()):
            for each in (None, session):
                used = rng.choice((0, world.clock + 1))
                at_once = world.queue.at_once(each, now, used=used)
                assert at_once == world.expected(now, frozenset(), each)
                if at_once is not None:
                    world.use(at_once.id)
        if rng.random() < 0.5:
            world.take(now, tried)


def test_while_a_token_is_not_ready_those_in_turn_are_found_at_once() -> None:
    world = World(5)
    world.until[2] = 100.0
    is_ready = partial(world.is_able, 0, frozenset())
    found = []
    for _ in range(9):
        token = world.queue.at_once(None, 0, is_ready)
        found.append(token and token.id)
        world.use(token.id) if token else world.take()
    # Once somebody has seen that it rests, and until somebody has to see whether it still does.
    assert found == [1, None, 4, 5, 1, 3, 4, 5, 1]
    assert world.queue.at_once(None, LONGEST_REST, is_ready) is None


def test_a_token_that_is_ready_before_it_said_is_found_soon() -> None:
    world = World(1)
    world.until[1] = 1000
    assert world.take(0) is None
    world.until[1] = 0
    assert world.take(LONGEST_REST) is not None


def test_two_thousand_tokens_cost_no_more_than_five() -> None:
    asked = {}
    for count in (5, 2000):
        world = World(count)
        for _ in range(2 * count):
            world.take()
        world.asked = 0
        for _ in range(100):
            world.take()
        asked[count] = world.asked
    assert asked[2000] <= asked[5]


def test_a_thousand_tokens_that_are_not_ready_are_not_asked_for_each_request() -> None:
    world = World(2000)
    world.until = dict.fromkeys(range(1, 1001), 1000000000.0)
    world.take()
    world.asked = 0
    for _ in range(100):
        world.take()
    assert world.asked < 100 * 5


def test_a_conversation_costs_no_more_with_two_thousand_tokens_than_with_five() -> None:
    for count in (5, 2000):
        world = World(count)
        able: Counter[int] = Counter()

        def is_able(token: Token, able: Counter[int] = able) -> bool:
            able[token.id] += 1
            return True

        for _ in range(50):
            world.queue.of_session(b"one", is_able)
        assert able.total() == 50
        assert len(able) == 1


def test_the_tokens_of_the_highest_priority_that_has_one_are_used() -> None:
    world = World(4)
    for number, priority in ((1, -5), (2, 7), (3, 7)):
        changed = replace(world.tokens[number], priority=priority)
        world.queue.put(changed)
    assert [world.take().id for _ in range(4)] == [2, 3, 2, 3]
    assert world.take(tried=frozenset({2, 3})).id == 4
    assert world.take(tried=frozenset({2, 3, 4})).id == 1
    assert world.take(tried=frozenset({1, 2, 3, 4})) is None


def named(count: int) -> dict[int, Token]:
    return {n: Token(n, f"token {n}", "api_key", f"s{n}", None, 0) for n in range(1, count + 1)}


def chosen(tokens: Iterable[Token], session: bytes) -> str:
    """The name of the session's own token, where all are able."""
    queue = TokenQueue(tokens, lambda _: 0, lambda _: 0)
    token = queue.of_session(session, lambda _: True)
    assert token is not None
    return token.name


def test_without_a_token_none_is_chosen() -> None:
    queue = TokenQueue((), lambda _: 0, lambda _: 0)
    assert queue.first(0, lambda _: False) is None
    assert queue.of_session(b"session", lambda _: True) is None
    assert queue.at_once(None, 0) is queue.at_once(b"session", 0) is None


def test_a_session_keeps_its_token_in_whatever_order_they_are_read() -> None:
    tokens = [*named(5).values()]
    turned = [tokens[turn:] + tokens[:turn] for turn in range(5)]
    assert len({chosen(each, b"session") for each in turned}) == 1


def test_sessions_spread_over_all_tokens() -> None:
    queue = TokenQueue(named(4).values(), lambda _: 0, lambda _: 0)
    found = Counter(queue.of_session(b"%d" % n, lambda _: True) for n in range(400))
    assert len(found) == 4
    assert all(60 < count < 140 for count in found.values())


def test_only_the_sessions_of_a_lost_token_move() -> None:
    tokens = named(4)
    sessions = [b"%d" % n for n in range(100)]
    before = {session: chosen(tokens.values(), session) for session in sessions}
    lost = tokens.pop(1).name
    after = {session: chosen(tokens.values(), session) for session in sessions}
    assert all(after[each] == before[each] for each in sessions if before[each] != lost)
    assert lost not in after.values()


def test_sessions_agree_on_hosts_where_ids_and_secrets_differ_but_names_do_not() -> None:
    here = [*named(3).values()]
    there = [replace(each, id=each.id + 70, secret=each.secret + "x") for each in here]
    for n in range(50):
        assert chosen(here, b"%d" % n) == chosen(there, b"%d" % n)
