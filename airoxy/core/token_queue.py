"""The tokens of a pool in the order of their use, so that the next one is found without looking at
all of them.

Invariant: of the ready tokens with the highest priority `first` gives the one that was used least
recently (of those never used the first), `of_session` the session's own. An entry's time is a lower
limit of when its token was last used or will be ready, since other processes use tokens too; it is
corrected when the entry comes to the front.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from airoxy.core.pool import Token, affinity

#: The longest time until a token that is not ready is checked again (seconds), since its cooldown
#: may be cleared early.
LONGEST_REST = 5.0
#: How many tokens are remembered for a conversation, and for how many conversations.
_RANKED, _SESSIONS = 4, 4096

#: The time of the last use or of being ready, the token's id, and the stamp of its latest entry.
_Entry = tuple[float, int, int]


class _Level:
    """The tokens of one priority."""

    def __init__(self) -> None:
        self.tokens: dict[int, Token] = {}
        self.ready: list[_Entry] = []
        self.resting: list[_Entry] = []
        self.ranked: dict[bytes, list[Token]] = {}


class TokenQueue:
    """`last_used` is in any unit, 0 for never; `ready_at` in Unix seconds."""

    def __init__(
        self,
        tokens: Iterable[Token],
        last_used: Callable[[Token], float],
        ready_at: Callable[[Token], float],
    ) -> None:
        self._last_used, self._ready_at = last_used, ready_at
        self._levels: dict[int, _Level] = {}
        self._highest = _Level()
        self._of: dict[int, _Level] = {}
        self._stamps: dict[int, int] = {}
        self._count = count()
        #: How many ready tokens the last `first` had to pass over.
        self.passed = 0
        for token in tokens:
            self.put(token)

    def __len__(self) -> int:
        return len(self._of)

    def put(self, token: Token) -> None:
        """The token is new, or has changed."""
        self.drop(token.id)
        level = self._levels.get(token.priority)
        if level is None:
            level = _Level()
            self._levels = dict(sorted({**self._levels, token.priority: level}.items()))
            self._highest = next(reversed(self._levels.values()))
        self._of[token.id] = level
        level.tokens[token.id] = token
        level.ranked.clear()
        stamp = self._stamps[token.id] = next(self._count)
        heapq.heappush(level.ready, (self._last_used(token), token.id, stamp))

    def drop(self, token_id: int) -> None:
        """The token is not there any more."""
        level = self._of.pop(token_id, None)
        if level is not None:
            del level.tokens[token_id], self._stamps[token_id]
            level.ranked.clear()

    def at_once(
        self,
        session: bytes | None,
        now: float,
        is_ready: Callable[[Token], bool] | None = None,
        used: int = 0,
    ) -> Token | None:
        """What `of_session`, or without a session `first`, gives as long as nothing but its expiry
        keeps a token from being used: nearly all requests are asked for so, and it takes a quarter
        of the time. With `is_ready` also while something does, if the first token that is looked
        at is ready; None if not. `used` is when it will have been used, if that is known; its entry
        need not be corrected then when it comes to the front again."""
        level = self._highest
        if session is not None:
            ranked = level.ranked.get(session)
            if ranked and not ranked[0].expired(now) and (is_ready is None or is_ready(ranked[0])):
                return ranked[0]
            if is_ready is not None:
                return None
            return self.of_session(session, lambda token: not token.expired(now))
        heap, resting = level.ready, level.resting
        while heap and not (resting and resting[0][0] <= now):
            before, token_id, stamp = heap[0]
            if self._stamps.get(token_id) != stamp:
                heapq.heappop(heap)
                continue
            token = level.tokens[token_id]
            if (actual := self._last_used(token)) != before:
                heapq.heapreplace(heap, (actual, token_id, stamp))
            elif (token.expires_at is None or token.expires_at > now) and (
                is_ready is None or is_ready(token)
            ):
                if used:
                    heapq.heapreplace(heap, (used, token_id, stamp))
                return token
            else:
                break
        return None if is_ready is not None else self.first(now, lambda _: False)

    def first(self, now: float, passed_over: Callable[[Token], bool]) -> Token | None:
        """The least recently used token that is ready and not `passed_over`, of the highest
        priority that has one."""
        self.passed = 0
        for level in reversed(self._levels.values()):
            self._wake(level, now)
            if (token := self._front(level, now, passed_over)) is not None:
                return token
        return None

    def of_session(self, session: bytes, is_able: Callable[[Token], bool]) -> Token | None:
        """The session's own token among those that are able, of the highest priority that has
        one."""
        for level in reversed(self._levels.values()):
            ranked = level.ranked.get(session)
            if ranked is None:
                ranked = self._rank(level, session)
            for token in ranked:
                if is_able(token):
                    return token
            if len(ranked) < len(level.tokens):
                able = [token for token in level.tokens.values() if is_able(token)]
                if able:
                    return max(able, key=lambda token: (affinity(session, token), -token.id))
        return None

    def _wake(self, level: _Level, now: float) -> None:
        while level.resting and level.resting[0][0] <= now:
            _, token_id, stamp = heapq.heappop(level.resting)
            if self._stamps.get(token_id) == stamp:
                used = self._last_used(level.tokens[token_id])
                heapq.heappush(level.ready, (used, token_id, stamp))

    def _front(
        self, level: _Level, now: float, passed_over: Callable[[Token], bool]
    ) -> Token | None:
        heap, passed = level.ready, []
        found = None
        while heap and found is None:
            used, token_id, stamp = heap[0]
            if self._stamps.get(token_id) != stamp:
                heapq.heappop(heap)
                continue
            token = level.tokens[token_id]
            if (actual := self._last_used(token)) != used:
                heapq.heapreplace(heap, (actual, token_id, stamp))
            elif (until := self._ready_at(token)) > now:
                heapq.heappop(heap)
                until = min(until, now + LONGEST_REST)
                heapq.heappush(level.resting, (until, token_id, stamp))
            elif passed_over(token):
                passed.append(heapq.heappop(heap))
            else:
                found = token
        for entry in passed:
            heapq.heappush(heap, entry)
        self.passed += len(passed)
        return found

    def _rank(self, level: _Level, session: bytes) -> list[Token]:
        if len(level.ranked) >= _SESSIONS:
            level.ranked.clear()
        ranked = level.ranked[session] = heapq.nlargest(
            _RANKED,
            level.tokens.values(),
            key=lambda token: (affinity(session, token), -token.id),
        )
        return ranked
