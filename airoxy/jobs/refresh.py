"""The refresh of OAuth tokens: by the timer, by a command, and by requests that meet a 401.

Invariant: a refresh token works once, so it is only used under a lease in the database, and the new
pair is stored before anything else happens. A process that waited for the lease finds the work
done. A refresh token that was sent by a process that then died may be spent: while the access token
is still valid, it is only sent again by a person's command.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import apsw

from airoxy.config import OAuth
from airoxy.core.oauth import Answer, Refreshed, Refused, Unavailable, pause
from airoxy.store import leases
from airoxy.store.fleet import leases as fleet_leases
from airoxy.store.fleet.membership import membership, on_disk
from airoxy.store.leases import Lease, Refreshing, lives

log = logging.getLogger(__name__)

T = TypeVar("T")
Clock = Callable[[], float]
#: Takes settings, refresh token, clock, and what to call before the token is sent.
Ask = Callable[[OAuth, str, Clock, Callable[[], None]], Answer]

#: Longer than the exchange can take (seconds), see upstream.refresh.
LEASE = 75.0
#: By the token's id, what a thread of this process has while it refreshes the token. A lease of
#: this process without one is left over: a full disk did not let it go.
_turns: dict[int, threading.Lock] = {}
#: How often a process that waits for another's refresh looks again (seconds).
LOOK = 0.1
#: How long to wait for the agent of a fleet, and how long after one host's timer has renewed a
#: token the timers of other hosts leave it alone (seconds).
FLEET_PATIENCE, FRESH = 8.0, 1800.0
_NO_FLEET = (
    "is not renewed: another host of the fleet is at it, or the fleet's PostgreSQL or this host's"
    " agent does not answer"
)
#: How long storing a new pair is tried if the database cannot be written (seconds).
HOLD_ON = 600.0
_INTERRUPTED = (
    "its last refresh was interrupted, and may have spent its refresh token; log in anew, or try it"
    " with --id"
)


@dataclass(frozen=True)
class Outcome:
    """The result for one token; `renewed` means that the database has a newer secret."""

    token_id: int
    name: str
    renewed: bool
    message: str


class _LeaseLost(Exception):
    """The wall clock was set forward, and another process refreshes the token."""


def ask_anthropic(
    oauth: OAuth, refresh_token: str, clock: Clock, sending: Callable[[], None]
) -> Answer:
    """upstream.refresh, imported when it is needed: with httpx it takes a tenth of a second, and
    most processes never refresh."""
    try:
        from airoxy.upstream.oauth import refresh
    except OSError as error:  # no descriptor is left to read it with
        return Unavailable(f"the OAuth endpoint cannot be asked: {error.strerror}")
    return refresh(oauth, refresh_token, clock, sending)


def refresh_tokens(
    db: apsw.Connection, oauth: OAuth, clock: Clock, *, ask: Ask = ask_anthropic
) -> Iterator[Outcome]:
    """Renew every active OAuth token, whether others fail or not. A token whose refresh was
    interrupted is left until its access token expires."""
    for state in leases.refreshing(db):
        if _is_over(state, clock()):
            state = _take_back(db, state, clock())
        if _is_fresh(db, state.id, clock()):
            yield Outcome(
                state.id, state.name, True, "was renewed just now, by a host of the fleet"
            )
            continue
        if state.until is None and _may_be_spent(state, clock()):
            yield Outcome(state.id, state.name, False, _INTERRUPTED)
        else:
            yield refresh_token(db, state.id, state.token, oauth, clock, ask=ask)


def refresh_token(
    db: apsw.Connection,
    token_id: int,
    secret: str,
    oauth: OAuth,
    clock: Clock,
    *,
    keep_pause: bool = False,
    ask: Ask = ask_anthropic,
) -> Outcome:
    """Renew the token whose access token is `secret`; whoever was faster has done it as well.

    With `keep_pause` nobody is asked before the pause after a failure is over.
    """
    outcome = None
    while outcome is None:
        with _turn(token_id):
            lease = _lease(db, token_id, secret, clock, keep_pause=keep_pause)
            if isinstance(lease, Outcome):
                return lease
            try:
                outcome = _refresh(db, lease, oauth, clock, ask)
            finally:
                _insist(lambda: fleet_leases.withdraw(db, token_id, os.getpid()))
    return outcome


def _turn(token_id: int) -> threading.Lock:
    return _turns.setdefault(token_id, threading.Lock())


def _refresh(
    db: apsw.Connection, lease: Lease, oauth: OAuth, clock: Clock, ask: Ask
) -> Outcome | None:
    """What comes of it; None where the lease was lost before anything was sent."""

    def sending() -> None:
        if not leases.note_asked(db, lease.id, clock(), os.getpid()):
            raise _LeaseLost

    try:
        return _settle(db, lease, ask(oauth, lease.refresh_token, clock, sending), clock)
    except _LeaseLost:
        return None


def _settle(db: apsw.Connection, lease: Lease, answer: Answer, clock: Clock) -> Outcome:
    """Store what was answered, and end the lease."""
    if isinstance(answer, Refreshed):
        stored = _insist(lambda: _store(db, lease, answer, clock()))
        message = "renewed" if stored else "has another refresh token by now"
        return Outcome(lease.id, lease.name, stored, message)
    if isinstance(answer, Refused):
        final = answer.final
        retry_at = clock() + pause(lease.refresh_failures + 1)
        active = _insist(
            lambda: leases.count_refusal(
                db, lease.id, answer.reason, clock(), retry_at=retry_at, final=final
            )
        )
        message = answer.reason + ("" if active else "; it is deactivated, add it again")
        return Outcome(lease.id, lease.name, False, message)
    wait = max(pause(lease.refresh_pauses + 1), answer.retry_after or 0)
    _insist(lambda: leases.release_lease(db, lease.id, clock() + wait))
    return Outcome(lease.id, lease.name, False, f"{answer.reason}; it stays active")


def _lease(
    db: apsw.Connection, token_id: int, secret: str, clock: Clock, *, keep_pause: bool
) -> Lease | Outcome:
    """The right to refresh, or what makes it needless or pointless; in this thread's turn."""
    while True:
        found = leases.refreshing(db, token_id)
        if not found:
            return Outcome(token_id, "", False, "is no token that can be refreshed")
        state = found[0]
        if state.token != secret:
            return Outcome(token_id, state.name, True, "renewed by another in the meantime")
        if _is_over(state, clock(), in_turn=True):
            state = _take_back(db, state, clock())
        if keep_pause and (state.retry_at or 0) > clock():
            return Outcome(token_id, state.name, False, "is tried again later")
        lease = leases.lease_refresh(db, token_id, clock(), LEASE, os.getpid())
        if lease is None:
            time.sleep(LOOK)
        elif lease.token == secret:
            if _fleet_agrees(db, token_id, clock):
                return lease
            leases.return_lease(db, token_id, os.getpid())
            if membership(db) is not None and _is_as_before(db, token_id, secret):
                return Outcome(token_id, state.name, False, _NO_FLEET)
        else:
            leases.return_lease(db, token_id, os.getpid())


def _fleet_agrees(db: apsw.Connection, token_id: int, clock: Clock) -> bool:
    """Whether no other host refreshes the token; at once where this one is alone."""
    if membership(db) is None:
        return True
    process, deadline = os.getpid(), time.monotonic() + FLEET_PATIENCE
    fleet_leases.want(db, token_id, process)
    state = leases.refreshing(db, token_id)
    while time.monotonic() < deadline:
        held = fleet_leases.is_held(db, token_id, process)
        # Read after that: what another host has made of it arrives before its lease is free.
        if leases.refreshing(db, token_id) != state:
            break
        if held:
            return leases.extend_lease(db, token_id, clock() + LEASE, process)
        time.sleep(LOOK / 2)
    fleet_leases.withdraw(db, token_id, process)
    return False


def _is_as_before(db: apsw.Connection, token_id: int, secret: str) -> bool:
    return any(state.token == secret for state in leases.refreshing(db, token_id))


def _is_fresh(db: apsw.Connection, token_id: int, now: float) -> bool:
    """Whether the timer of another host has just renewed it."""
    return membership(db) is not None and fleet_leases.refreshed_at(db, token_id) > now - FRESH


def _store(db: apsw.Connection, lease: Lease, new: Refreshed, now: float) -> bool:
    with on_disk(db):
        return leases.store_refreshed(
            db, lease.id, lease.refresh_token, new.token, new.refresh_token, new.expires_at, now
        )


def _insist(write: Callable[[], T]) -> T:
    """A locked or full disk must not cost the pair: its predecessor is spent."""
    deadline = time.monotonic() + HOLD_ON
    while True:
        try:
            return write()
        except (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK)


def report_interrupted(db: apsw.Connection, clock: Clock = time.time) -> None:
    """Say plainly which refreshes a process did not live to finish, and free their tokens."""
    for state in leases.refreshing(db):
        if _is_over(state, clock()):
            _take_back(db, state, clock())


def _is_over(state: Refreshing, now: float, *, in_turn: bool = False) -> bool:
    """Whether the token is still leased to a process that will not come back."""
    if state.until is None or state.by is None:
        return False
    is_left = state.by == os.getpid() and (in_turn or not _turn(state.id).locked())
    return is_left or state.until <= now or not lives(state.by)


def _take_back(db: apsw.Connection, state: Refreshing, now: float) -> Refreshing:
    """End such a lease; the state that follows."""
    assert state.by is not None
    retry_at = now + pause(state.pauses + 1)
    if leases.break_lease(db, state.id, state.by, retry_at):
        log.warning(
            "A refresh of token %d (%s) was interrupted. If Anthropic had answered it already, its"
            " refresh token is spent. The token serves until it expires, and only then is it tried"
            " once more: log in anew and add it again before, or try now: airoxy token refresh"
            " --id %d",
            state.id,
            state.name,
            state.id,
        )
    return next(iter(leases.refreshing(db, state.id)), state._replace(until=None))


def _may_be_spent(state: Refreshing, now: float) -> bool:
    """Whether its refresh token was sent, no answer is known, and there is something to lose."""
    return state.asked_at is not None and max(state.expires_at or 0, state.retry_at or 0) > now
