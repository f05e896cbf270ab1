"""What is found at one look while tokens cool down is what all looks together would find."""

from __future__ import annotations

import random
import time
from contextlib import closing

import pytest

from airoxy.core.pool import EVERY_CLASS, EVERYTHING, Scope, Token
from airoxy.server.limits.counters import REGION as COUNTERS
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.pool.queues import Queues
from airoxy.server.pool.spent import REGION as LIMITS
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.pool.token_limits import TokenLimits
from airoxy.server.pool.token_state import REGION, TokenState
from airoxy.server.shared_memory import SharedMemory

OPUS, SONNET = (Scope("messages", f"claude-{name}-4") for name in ("opus", "sonnet"))
SCOPES = (EVERYTHING, OPUS, SONNET, Scope("messages", EVERY_CLASS))


class Tokens:
    """Some tokens of a pool, and the queues of them."""

    def __init__(self, count: int, memory: SharedMemory, counters: LimitCounters) -> None:
        self.tokens = {
            n: Token(n, f"token {n}", "api_key", f"sk-ant-api-{n}", None, 0, n % 3 == 0)
            for n in range(1, count + 1)
        }
        self.state = TokenState(memory)
        self.queues = Queues(
            self.tokens.values, self.state, TokenLimits(SpentByTokens(memory, counters), counters)
        )

    def at_front(self, scope: Scope, session: bytes | None = None) -> Token | None:
        return self.queues.at_front(None, session, scope, time.time_ns())

    def first(self, scope: Scope) -> Token | None:
        return self.queues.first(None, scope, time.time(), lambda _: False)

    def of_session(self, scope: Scope, session: bytes) -> Token | None:
        now = time.time()
        ready_at = self.queues.ready_at
        return self.queues.of_session(
            None, session, scope, lambda each: ready_at(scope, each) <= now
        )

    def use(self, token: Token) -> None:
        self.state.mark_used(token.id, time.time_ns())


@pytest.fixture
def pool():
    regions = (REGION, LIMITS, COUNTERS)
    with closing(SharedMemory.of(*regions)) as memory, closing(LimitCounters(memory)) as counters:
        yield Tokens(9, memory, counters)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_token_that_would_be_chosen_or_none(pool, seed: int):
    rng, found = random.Random(seed), 0
    for _ in range(300):
        number, now = rng.randint(1, 9), time.time()
        match rng.randint(0, 9):
            case 0:
                group, model_class = rng.choice(SCOPES)
                until = now + rng.choice((-1000, 1000))
                pool.state.cool(number, model_class, until, time.time_ns(), group)
            case 1:
                pool.state.spare(number, {rng.choice(("opus", "")): now + rng.choice((-9, 1000))})
            case 2 if rng.random() < 0.2:
                pool.state.deactivate(pool.tokens[number], time.time_ns())
            case 3:
                pool.tokens[number] = token = Token(
                    number, f"token {number}", "api_key", f"new-{rng.random()}", None,
                    time.time_ns(), rng.randint(0, 1),
                )  # fmt: skip
                pool.queues.changed(number, token)
        scope, session = rng.choice((OPUS, SONNET)), b"%d" % rng.randint(0, 3)
        at_front = pool.at_front(scope, session)
        assert at_front in (None, pool.of_session(scope, session))
        at_front, chosen = pool.at_front(scope), pool.first(scope)
        assert at_front in (None, chosen)
        found += at_front is not None
        if chosen is not None:
            pool.use(chosen)
    assert found > 30


def test_a_class_for_which_a_token_cools_is_soon_served_at_one_look(pool):
    pool.state.cool(2, OPUS.model_class, time.time() + 1000, time.time_ns(), OPUS.group)
    looks = []
    for _ in range(30):
        at_front = pool.at_front(OPUS)
        looks.append(at_front is None)
        pool.use(at_front or pool.first(OPUS))
    assert sum(looks) < 15
    assert not any(looks[-10:])
