"""The pool at work: picks a token for a request and makes a verdict come true.

The law: what is decided is core.pool's; here the present state is handed to it and the outcome is
shared with the other workers at once, and with the database soon.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from airoxy.core import pool as rules
from airoxy.core.pool import Token, Verdict
from airoxy.errors import AiroxyError, AllCooling, NoTokens
from airoxy.server.pool.refresher import Refresher
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.pool.token_state import TokenState
from airoxy.server.writer import Writer
from airoxy.store import tokens


@dataclass(slots=True)
class Wanted:
    """What a request asks of the pool, and what it has had already."""

    model_class: str
    session: bytes | None = None
    pinned: int | None = None
    tried: set[int] = field(default_factory=set)
    refreshed: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Pool:
    snapshot: Snapshot
    token_state: TokenState
    writer: Writer
    refresher: Refresher

    async def next(self, wanted: Wanted) -> Token | None:
        """The token to try next, marked used; an expired one, renewed, where no other is ready."""
        token = self._take(wanted)
        if token is None:
            now = time.time()
            for expired in self._candidates(wanted):
                if expired.expired(now) and await self.refresh(wanted, expired):
                    return self._take(wanted)
        if token is not None:
            wanted.tried.add(token.id)
        return token

    async def refresh(self, wanted: Wanted, token: Token) -> bool:
        """Renew an OAuth token, once per request; True if it may be tried (again)."""
        if token.id in wanted.refreshed:
            return False
        wanted.refreshed.add(token.id)
        if not await self.refresher.refresh(token):
            return False
        self.snapshot.renew()
        wanted.tried.discard(token.id)
        return True

    def act(self, token: Token, verdict: Verdict) -> None:
        """Cool or deactivate the token, here at once and in the database soon."""
        now = time.time_ns()
        if cooling := verdict.cooling:
            self.token_state.cool(token.id, cooling.model_class, cooling.until, now)
            self.writer.do(
                partial(
                    tokens.cool,
                    token_id=token.id,
                    model_class=cooling.model_class,
                    until=cooling.until,
                    reason=cooling.reason,
                    set_at_ns=now,
                )
            )
        if verdict.deactivate:
            self.token_state.deactivate(token, now)
            self.writer.do(
                partial(
                    tokens.deactivate,
                    token_id=token.id,
                    reason=verdict.deactivate,
                    secret=token.secret,
                    now=now / 1e9,
                ),
                lambda: self.token_state.deactivation_written(token, time.time_ns()),
            )

    def nothing_ready(self, wanted: Wanted) -> AiroxyError:
        """Why no token could be tried."""
        now = time.time()
        until = [
            self.token_state.cooling_until(token, wanted.model_class)
            for token in self._candidates(wanted)
            if not token.expired(now)
        ]
        if not until:
            return NoTokens(
                "No access tokens available"
                if wanted.pinned is None
                else "The access token that this batch or file belongs to is not available"
            )
        wait = max(1, math.ceil(min(until) - now))
        return AllCooling(
            f"All access tokens are rate limited; the first is ready in {wait} seconds",
            headers=(("retry-after", str(wait)),),
        )

    def all_ready(self) -> list[Token]:
        """The tokens that could serve a request for a model of which none is cooling."""
        return self._ready(self._active(), rules.EVERY_CLASS, ())

    def _take(self, wanted: Wanted) -> Token | None:
        candidates = self._candidates(wanted)
        with self.token_state.turn():
            able = self._ready(candidates, wanted.model_class, wanted.tried)
            token = rules.choose(able, self.token_state.last_used, wanted.session)
            if token is None:
                return None
            used = self.token_state.mark_used(token.id, time.time_ns())
        self.writer.used(token.id, used)
        return token

    def _ready(
        self, candidates: Collection[Token], model_class: str, tried: Collection[int]
    ) -> list[Token]:
        now, token_state = time.time(), self.token_state
        if not token_state.any_cools(now):
            return rules.ready(candidates, None, now, tried)
        return rules.ready(
            candidates, lambda token: token_state.cooling_until(token, model_class), now, tried
        )

    def _candidates(self, wanted: Wanted) -> Collection[Token]:
        if wanted.pinned is None:
            return self._active()
        return [token for token in self._active() if token.id == wanted.pinned]

    def _active(self) -> Collection[Token]:
        return self.token_state.active(self.snapshot.tokens, time.time_ns())
