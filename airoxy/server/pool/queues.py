"""The queues of tokens from which the pool takes the next one, for each pool's name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from functools import partial

from airoxy.core.pool import EVERYTHING, Scope, Token
from airoxy.core.token_queue import TokenQueue
from airoxy.server.pool.token_limits import TokenLimits
from airoxy.server.pool.token_state import TokenState

#: Passing over this many ready tokens gives a scope a queue of its own; and so does passing over as
#: many as there are in several requests: making it has paid then.
_MOST_PASSED = 32
#: Most scopes for which fewer are noted.
_MOST_NOTED = 1024
#: Most scopes with a queue of their own; their names may come from clients.
_MOST_QUEUES = 32

_Name = tuple[str | None, Scope]


class Queues:
    """`tokens` gives the active ones when a queue is made."""

    def __init__(
        self,
        tokens: Callable[[], Iterable[Token]],
        token_state: TokenState,
        token_limits: TokenLimits,
    ) -> None:
        self._tokens, self._token_state, self._token_limits = tokens, token_state, token_limits
        self._queues: dict[_Name, TokenQueue] = {}
        self._passed: dict[_Name, int] = {}

    def changed(self, token_id: int, token: Token | None) -> None:
        """A token is new, has changed, or is not active any more (None)."""
        for (pool, _), queue in self._queues.items():
            if token is not None and pool in (None, token.pool):
                queue.put(token)
            else:
                queue.drop(token_id)

    def clear(self) -> None:
        """All may have changed."""
        self._queues.clear()

    def at_once(
        self, pool: str | None, session: bytes | None, now: float, used: int = 0
    ) -> Token | None:
        """What `of_session`, or without a session `first`, gives for every scope while all is quiet
        (see TokenState) and no token has limits. `used` is when it will have been used."""
        queue = self._queues.get((pool, EVERYTHING))
        if queue is None:
            queue = self._queue(pool, EVERYTHING)
        return queue.at_once(session, now, None, used)

    def at_front(
        self, pool: str | None, session: bytes | None, scope: Scope, now_ns: int
    ) -> Token | None:
        """The same for one scope while it is not quiet, if the first token that is looked at is
        ready: one that cools down costs the requests that do without it nothing."""
        queue = self._queues.get((pool, scope)) if session is None else None
        queue = queue or self._queues.get((pool, EVERYTHING))
        if queue is None:
            return None
        is_ready = partial(self._token_state.is_free, scope, now_ns)
        return queue.at_once(session, now_ns / 1e9, is_ready)

    def first(
        self, pool: str | None, scope: Scope, now: float, passed_over: Callable[[Token], bool]
    ) -> Token | None:
        """The token that is next for `scope`; one that is spared only where no other is ready."""
        token = self._first(pool, scope, now, passed_over)
        if token is None and self._token_state.any_spared(now):
            able = [
                token
                for token in self._tokens()
                if pool in (None, token.pool)
                and self.ready_at(scope, token) <= now
                and not passed_over(token)
            ]
            best = max((token.priority for token in able), default=0)
            able = [token for token in able if token.priority == best]
            return min(able, key=self._token_state.last_used, default=None)
        return token

    def _first(
        self, pool: str | None, scope: Scope, now: float, passed_over: Callable[[Token], bool]
    ) -> Token | None:
        own = self._queues.get((pool, scope))
        if own is not None:
            return own.first(now, passed_over)
        queue = self._queue(pool, EVERYTHING)
        if not self._token_state.any_cools(now) and not self._token_state.any_spared(now):
            return queue.first(now, passed_over)
        token = queue.first(
            now, lambda token: passed_over(token) or self._preferred_at(scope, token) > now
        )
        if queue.passed:
            self._note_passed((pool, scope), queue)
        return token

    def _note_passed(self, name: _Name, queue: TokenQueue) -> None:
        passed = self._passed.pop(name, 0) + queue.passed
        if queue.passed > _MOST_PASSED or passed > len(queue):
            self._queue(*name)
        elif len(self._passed) < _MOST_NOTED:
            self._passed[name] = passed
        else:
            self._passed.clear()

    def of_session(
        self, pool: str | None, session: bytes, scope: Scope, is_able: Callable[[Token], bool]
    ) -> Token | None:
        """The conversation's own token; one that is spared only where no other is able."""
        queue, state, now = self._queue(pool, EVERYTHING), self._token_state, time.time()
        if state.any_spared(now):
            token = queue.of_session(
                session,
                lambda token: state.spare_until(token, scope.model_class) <= now and is_able(token),
            )
            if token is not None:
                return token
        return queue.of_session(session, is_able)

    def ready_at(self, scope: Scope, token: Token) -> float:
        """From when (Unix time) on the token can serve requests of this scope, as far as is known
        now."""
        now, state = time.time(), self._token_state
        if token.expires_at is not None and token.expires_at <= now:
            return math.inf
        until = state.inactive_until(token, int(now * 1e9))
        if token.limits is not None:
            until = max(until, self._token_limits.ready_at(token, now))
        if state.any_cools(now):
            return max(until, state.cooling_until(token, scope.model_class, scope.group))
        return until

    def _preferred_at(self, scope: Scope, token: Token) -> float:
        """From when on the token is ready and need not be spared."""
        until = self.ready_at(scope, token)
        if self._token_state.any_spared(time.time()):
            return max(until, self._token_state.spare_until(token, scope.model_class))
        return until

    def _queue(self, pool: str | None, scope: Scope) -> TokenQueue:
        name = (pool, scope)
        queue = self._queues.get(name)
        if queue is None:
            if len(self._queues) >= _MOST_QUEUES:
                self._queues.pop(next(iter(self._queues)))
            tokens = (each for each in self._tokens() if pool in (None, each.pool))
            ready_at = partial(self._preferred_at, scope)
            queue = self._queues[name] = TokenQueue(tokens, self._token_state.last_used, ready_at)
        return queue
