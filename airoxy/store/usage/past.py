"""What was spent on days that are over, kept for some minutes: there may be millions of sums.

Invariant: today is never among it. What was spent in the past changes only where costs are
computed anew, which is seen after `KEPT`.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw

from airoxy.core.limits.measures import CALENDAR
from airoxy.store.limits import spent_by_keys
from airoxy.store.usage.daily import added, costs_by_key, totals, totals_by
from airoxy.store.usage.last_use import last_uses

#: For how long it is kept (seconds).
KEPT = 300.0
#: Of so many answers, the newest: each may have thousands of sums.
_MOST = 24


@dataclass
class _Answer:
    """Whoever reads it has its lock; `at` is when that began."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float | None = None
    found: Any = None


class Past:
    """Asked from several threads; of those that ask for the same at once, one reads it, and nobody
    waits for what others ask."""

    def __init__(self, kept: float = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept, self._clock = kept, clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, datetime.date], _Answer] = {}

    def of(self, what: str, today: datetime.date, read: Callable[[], Any]) -> Any:
        """What `read` says, or has said not long ago of the days before `today`."""
        with self._lock:
            answer = self._known.get((what, today))
            if answer is None:
                self._forget(today)
                answer = self._known[what, today] = _Answer()
        with answer.lock:
            now = self._clock()
            if answer.at is None or now - answer.at >= self._kept:
                answer.found, answer.at = read(), now
            return answer.found

    def _forget(self, today: datetime.date) -> None:
        """What is old, and of the rest what came first."""
        now = self._clock()
        fresh = [
            (now if answer.at is None else answer.at, key, answer)
            for key, answer in self._known.items()
            if key[1] == today and (answer.at is None or now - answer.at < self._kept)
        ]
        fresh.sort(key=lambda each: each[0])
        self._known = {key: answer for _, key, answer in fresh[-_MOST + 1 :]}


def month_totals(
    db: apsw.Connection, past: Past, today: datetime.date, of_today: Mapping[str, Any]
) -> dict[str, int]:
    """The sums of this month, of which those of today are known."""
    before = past.of("month", today, lambda: totals(db, since=today.replace(day=1), until=today))
    return {name: count + of_today[name] for name, count in before.items()}


def spent_by_key(
    db: apsw.Connection, past: Past, today: datetime.date
) -> dict[int, dict[str, int]]:
    """What each key that has been used has spent today, this week and this month."""
    found = dict(past.of("keys", today, lambda: spent_by_keys(db, today, today)))
    for key, (cost,) in costs_by_key(db, [today], today + datetime.timedelta(1)).items():
        before = found.get(key, {})
        found[key] = {each.name: before.get(each.name, 0) + cost for each in CALENDAR}
    return found


def totals_of_days(
    db: apsw.Connection,
    past: Past,
    today: datetime.date,
    by: str | None,
    *,
    since: datetime.date | None,
    until: datetime.date | None,
    token_id: int | None = None,
    group_id: int | None = None,
) -> list[dict[str, Any]]:
    """`totals_by` of a group, or `totals` as a list of one."""
    whose = {"token_id": token_id, "group_id": group_id}

    def read(since: datetime.date | None, until: datetime.date | None) -> list[dict[str, Any]]:
        if by is None:
            return [totals(db, since=since, until=until, **whose)]
        return totals_by(db, by, since=since, until=until, **whose)

    if (since and since >= today) or (until and until <= today):
        return read(since, until)
    what = f"totals {by} {since} {token_id} {group_id}"
    return added(by, past.of(what, today, lambda: read(since, today)), read(today, until))


def last_uses_of_keys(db: apsw.Connection, past: Past, today: datetime.date) -> dict[int, float]:
    """`store.usage.last_use` of all keys."""
    before, block = past.of("last uses", today, lambda: last_uses(db))
    fresh, _ = last_uses(db, block)
    return {key: max(at, before.get(key, 0)) for key, at in (before | fresh).items()}
