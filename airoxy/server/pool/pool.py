"""The pool of upstream tokens at work: chooses one for a request, and carries verdicts out.

Invariant: a verdict (`core.answers.verdict`) holds in all workers at once, and in the database
soon.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from airoxy.core import pool as rules
from airoxy.core.answers.verdict import MOST_UNKNOWN_REFUSALS, SHORT_RETRY, Cooldown, Verdict
from airoxy.core.pool import EVERYTHING, Scope, Token
from airoxy.core.quota import read_windows, spare_until
from airoxy.errors import AiroxyError, AllCooling, NoTokens
from airoxy.journal import about
from airoxy.server.pool.limited_tokens import LimitedTokens
from airoxy.server.pool.queues import Queues
from airoxy.server.pool.refresher import Refresher
from airoxy.server.pool.refusals import Refusals
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.pool.token_limits import TokenLimits
from airoxy.server.pool.token_state import TokenState
from airoxy.server.writer import Writer
from airoxy.store import tokens

log = logging.getLogger(__name__)

#: Seconds that a request waits in all for a token of its own or for an overloaded upstream; a
#: first wait may be as long as SHORT_RETRY.
PATIENCE = 4.0
#: The clock of sleeping and that of cooldowns differ by less than this (seconds).
_MARGIN = 0.002


@dataclass(slots=True)
class Wanted:
    """What a request asks of the pool, and which tokens it has tried already."""

    scope: Scope
    session: bytes | None = None
    pinned: int | None = None
    #: Only tokens of this pool may be used; None allows all.
    pool: str | None = None
    #: The token that has served the conversation from which this one was forked.
    preferred: int | None = None
    #: What to raise if the pinned token cannot serve.
    unavailable: Callable[[], AiroxyError] | None = None
    tried: tuple[int, ...] = ()
    refreshed: frozenset[int] = frozenset()
    waited: float = 0.0
    #: The token that is in use, if it has limits of its own.
    runs_with: Token | None = None

    @property
    def patience(self) -> float:
        """How long it may wait once more."""
        return PATIENCE - self.waited if self.waited else SHORT_RETRY

    def again(self, token: Token) -> None:
        """The token may be tried once more."""
        self.tried = tuple(each for each in self.tried if each != token.id)


class Pool:
    """The tokens of `snapshot`, used in turn or by conversation."""

    def __init__(
        self,
        snapshot: Snapshot,
        token_state: TokenState,
        token_limits: TokenLimits,
        limited_tokens: LimitedTokens,
        refusals: Refusals,
        writer: Writer,
        refresher: Refresher,
        leave_at: float = 1.0,
    ) -> None:
        self.snapshot = snapshot
        self.token_state = token_state
        self._token_limits = token_limits
        self.refusals = refusals
        self.writer = writer
        self.refresher = refresher
        self._leave_at = leave_at
        self.limited_tokens = limited_tokens
        #: Their ids.
        self.limited = limited_tokens.ids
        self._queues = Queues(snapshot.tokens.values, token_state, token_limits)
        snapshot.watch = self._changed
        snapshot.cooled = token_state.cool_as_stored

    def take(self, wanted: Wanted) -> Token | None:
        """A token for a request that has had none, marked used, where any will do or that of its
        conversation, as nearly always; None where `next` has to look."""
        if self.limited or wanted.tried:
            return None
        if wanted.pinned is not None or wanted.preferred is not None:
            return None
        state, now_ns = self.token_state, time.time_ns()
        with state.choice:
            used = state.next_use(now_ns)
            if state.is_quiet(now_ns):
                token = self._queues.at_once(wanted.pool, wanted.session, now_ns / 1e9, used)
            else:
                token = self._queues.at_front(wanted.pool, wanted.session, wanted.scope, now_ns)
            if token is None:
                return None
            state.note_use(token.id, used)
        self.writer.used(token.id, used)
        wanted.tried = (token.id,)
        return token

    async def next(self, wanted: Wanted, request_id: str | None = None) -> Token | None:
        """The token to try next, marked used; an expired one, renewed, where no other is ready.

        A conversation waits a little for its own, whose account has its cache."""
        self.release(wanted)
        token = self._take(wanted)
        while isinstance(token, float):
            await self.pause(wanted, token - time.time() + _MARGIN)
            token = self._take(wanted)
        if token is None:
            now = time.time()
            for expired in self._candidates(wanted):
                if expired.expired(now) and await self.refresh(wanted, expired, request_id):
                    token = self._take(wanted, wait=False)
                    break
        if isinstance(token, Token):
            wanted.again(token)
            wanted.tried += (token.id,)
            return token
        return None

    def release(self, wanted: Wanted) -> None:
        """The request, or its attempt, is at its end."""
        if wanted.runs_with is not None:
            self._token_limits.end(wanted.runs_with)
            wanted.runs_with = None

    async def pause(self, wanted: Wanted, seconds: float) -> None:
        """Wait, which the request can do only so often."""
        wanted.waited += max(seconds, 0.0)
        await asyncio.sleep(seconds)

    def has_another(self, wanted: Wanted) -> bool:
        """Whether a token that was not tried yet is ready."""
        return bool(self._ready(self._candidates(wanted), wanted.scope, wanted.tried))

    async def refresh(self, wanted: Wanted, token: Token, request_id: str | None = None) -> bool:
        """Renew an OAuth token, once per request; True if it may be tried (again)."""
        if token.id in wanted.refreshed:
            return False
        wanted.refreshed |= {token.id}
        if not await self.refresher.refresh(token, request_id):
            return False
        self.snapshot.renew()
        wanted.again(token)
        return True

    def act(self, token: Token, verdict: Verdict, request_id: str | None) -> None:
        """Cool or deactivate the token; each is one line in the journal."""
        if verdict.cooldown is not None:
            self._cool(token, verdict.cooldown, request_id)
        if verdict.deactivate is not None:
            self._deactivate(token, verdict.deactivate, request_id)
        if verdict.unknown_refusal and self.refusals.count(token.id) >= MOST_UNKNOWN_REFUSALS:
            reason = f"Anthropic answered 401 {MOST_UNKNOWN_REFUSALS} times in a row"
            self._deactivate(token, reason, request_id)

    def succeeded(self, token: Token) -> None:
        """An answer shows that the token works."""
        self.refusals.clear(token.id)

    def answered(self, token: Token, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The headers of an answer say how much of a subscription is used up."""
        if windows := read_windows(headers):
            self.token_state.spare(token.id, spare_until(windows, self._leave_at))
            note = partial(tokens.note_quota, token_id=token.id, windows=windows, now=time.time())
            self.writer.latest(("quota", token.id), note)

    def nothing_ready(self, wanted: Wanted) -> AiroxyError:
        """Why no token could be tried."""
        now = time.time()
        until = [
            self._queues.ready_at(wanted.scope, token)
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
        scope = f" for {wanted.scope}" if str(wanted.scope) else ""
        return AllCooling(
            f"All access tokens are rate limited{scope}; the first is ready in {wait} seconds",
            headers=(("retry-after", str(wait)),),
        )

    def able(self, wanted: Wanted) -> list[Token]:
        """The tokens in whose accounts the client key has things, those first that are ready."""
        now = time.time()
        tokens = [each for each in self._candidates(wanted) if not each.expired(now)]
        return sorted(tokens, key=lambda each: self._cooling_until(each, wanted.scope) > now)

    def all_ready(self) -> list[Token]:
        """The tokens that could serve a request for a model of which none is cooling."""
        return self._ready(self._active(self.snapshot.tokens.values()), EVERYTHING, ())

    def exhausted(self) -> dict[Scope, float]:
        """What every token is cooling down for, and until when (Unix time) the first of them is."""
        now = time.time()
        if not self.token_state.any_cools(now):
            return {}
        usable = [
            token for token in self._active(self.snapshot.tokens.values()) if not token.expired(now)
        ]
        found = {
            scope: min((self._cooling_until(token, scope) for token in usable), default=0.0)
            for scope in self.snapshot.cooling_scopes()
        }
        return {scope: until for scope, until in found.items() if until > now}

    def _cool(self, token: Token, cooldown: Cooldown, request_id: str | None) -> None:
        now = time.time_ns()
        group, model_class = cooldown.scope
        before = self._cooling_until(token, cooldown.scope)
        self.token_state.cool(token.id, model_class, cooldown.until, now, group)
        self.writer.do(
            partial(
                tokens.cool,
                token_id=token.id,
                scope=cooldown.scope,
                until=cooldown.until,
                reason=cooldown.reason,
                set_at_ns=now,
            )
        )
        if before * 1e9 < now:  # requests that were under way together are told once
            log.warning(
                "Token %d (%s) cools down for %s until %s: %s",
                token.id,
                token.name,
                cooldown.scope if str(cooldown.scope) else "everything",
                datetime.fromtimestamp(cooldown.until, UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
                cooldown.reason,
                extra=about(request_id),
            )

    def _deactivate(self, token: Token, reason: str, request_id: str | None) -> None:
        now = time.time_ns()
        known = not self.token_state.active((token,), now)
        self.token_state.deactivate(token, now)
        self.refusals.clear(token.id)
        self.writer.do(
            partial(
                tokens.deactivate,
                token_id=token.id,
                reason=reason,
                secret=token.secret,
                now=now / 1e9,
            ),
            lambda: self.token_state.deactivation_written(token, time.time_ns()),
        )
        if not known:
            log.warning(
                "Token %d (%s) is deactivated: %s",
                token.id,
                token.name,
                reason,
                extra=about(request_id),
            )

    def _take(self, wanted: Wanted, *, wait: bool = True) -> Token | float | None:
        """A token, marked used; or until when (Unix time) the conversation's own is cooling."""
        patience = wanted.patience if wait and wanted.session else 0.0
        if self.limited and self.snapshot.hosts > 1:
            # Who came a while ago must not be let in by a share that was given up since.
            self.snapshot.renew()
            self._token_limits.note_demand(self._candidates(wanted), time.time())
        with self.token_state.choice:
            token = self._choose(wanted, patience)
            if token is None:
                return None
            if patience and (until := self._cooling_until(token, wanted.scope)) > time.time():
                return until
            used = self.token_state.mark_used(token.id, time.time_ns())
            if token.limits is not None:
                self._token_limits.start(token)
                wanted.runs_with = token
        self.writer.used(token.id, used)
        return token

    def _choose(self, wanted: Wanted, patience: float) -> Token | None:
        now, scope, tried = time.time(), wanted.scope, wanted.tried
        if wanted.pinned is not None:
            able = self._ready(self._candidates(wanted), scope, tried, patience)
            return able[0] if able else None
        if wanted.preferred is not None and (token := self._preferred(wanted, patience)):
            return token
        if wanted.session is None:
            return self._queues.first(
                wanted.pool,
                scope,
                now,
                lambda token: token.id in tried or self._token_limits.is_busy(token),
            )
        return self._queues.of_session(
            wanted.pool,
            wanted.session,
            scope,
            lambda token: (
                token.id not in tried
                and self._queues.ready_at(scope, token) - patience <= now
                and not self._token_limits.is_busy(token)
            ),
        )

    def _preferred(self, wanted: Wanted, patience: float) -> Token | None:
        candidates = [each for each in self._candidates(wanted) if each.id == wanted.preferred]
        able = self._ready(candidates, wanted.scope, wanted.tried, patience)
        return able[0] if able else None

    def _ready(
        self,
        candidates: Collection[Token],
        scope: Scope,
        tried: Collection[int],
        patience: float = 0.0,
    ) -> list[Token]:
        now = time.time()
        if self.limited:
            candidates = [each for each in candidates if not self._token_limits.is_busy(each)]
        elif not self.token_state.any_cools(now):
            return rules.ready(candidates, None, now, tried)
        return rules.ready(
            candidates, lambda token: self._queues.ready_at(scope, token) - patience, now, tried
        )

    def _changed(self, token_id: int, token: Token | None) -> None:
        self._queues.changed(token_id, token)
        self.limited_tokens.changed(token_id, token)

    def _cooling_until(self, token: Token, scope: Scope) -> float:
        return self.token_state.cooling_until(token, scope.model_class, scope.group)

    def _candidates(self, wanted: Wanted) -> Collection[Token]:
        """The active tokens that may serve it, ready or not."""
        tokens = self.snapshot.tokens
        if wanted.pinned is not None:
            mine = tokens.get(wanted.pinned)
            return self._active([mine] if mine and wanted.pool in (None, mine.pool) else [])
        if wanted.pool is None:
            return self._active(tokens.values())
        return self._active([token for token in tokens.values() if token.pool == wanted.pool])

    def _active(self, tokens: Collection[Token]) -> Collection[Token]:
        return self.token_state.active(tokens, time.time_ns())
