"""A look at the database: new rows of the usage log, today's sums, and who may go on watching."""

from __future__ import annotations

import datetime
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import day_of
from airoxy.store import schema
from airoxy.store.console import api_tokens, sessions
from airoxy.store.usage import requests

#: Most rows of one look; of more than that only the newest are shown.
MOST_ROWS = 200
#: The span over which the rate is averaged (seconds).
_WINDOW = 10.0
#: How often the database is read without a commit, for changes such as the end of a session or a
#: new day (seconds).
_STALE = 5.0


class Watchers(NamedTuple):
    """The ids of sessions and of API tokens."""

    sessions: frozenset[int] = frozenset()
    tokens: frozenset[int] = frozenset()


_NOBODY = Watchers()


@dataclass(frozen=True)
class Moment:
    """`rows` are those since the look before, the oldest first, of which those up to the id
    `left_out` were too many; `last` is the id of the newest."""

    at: float
    rows: tuple[Mapping[str, Any], ...] = ()
    left_out: int = 0
    last: int = 0
    #: Requests that ended in a second.
    rate: float | None = None
    today: Mapping[str, Any] | None = None
    #: The sessions and API tokens that are still valid.
    allowed: Watchers = _NOBODY


class Look:
    """Remembers the look before; each is in the same thread, on the same connection."""

    def __init__(self, clock: Callable[[], float], zone: datetime.tzinfo) -> None:
        self._clock = clock
        self._zone = zone
        self._version: int | None = None
        self._ends: deque[tuple[float, int]] = deque()
        self._known: Moment | None = None

    def forget(self) -> None:
        """Forget the last look, because there was no view for a while."""
        self._version = self._known = None
        self._ends.clear()

    def __call__(self, db: apsw.Connection, watchers: Watchers, position: int) -> Moment:
        """This moment. The first look has the rows after the id `position`."""
        now, version, before = self._clock(), schema.data_version(db), self._known
        if before is None or version != self._version or not 0 <= now - before.at < _STALE:
            with schema.snapshot(db):
                moment = self._read(db, now, watchers, before.last if before else position)
            self._version, self._known = version, moment
        else:
            moment = Moment(now, (), 0, before.last, None, before.today, watchers)
        return replace(moment, rate=self._rate(moment.last))

    def _read(self, db: apsw.Connection, now: float, watchers: Watchers, after: int) -> Moment:
        last = requests.last_id(db)
        left_out = last - MOST_ROWS if last - after > MOST_ROWS else 0
        rows = requests.newest(db, limit=MOST_ROWS, after_id=max(after, left_out))
        return Moment(
            at=now,
            rows=tuple(rows),
            left_out=left_out,
            last=last,
            today=requests.totals(db, since=day_of(now, self._zone)),
            allowed=Watchers(
                sessions.in_force(db, watchers.sessions, now),
                api_tokens.in_force(db, watchers.tokens, now),
            ),
        )

    def _rate(self, last: int) -> float | None:
        now, ends = time.monotonic(), self._ends
        ends.append((now, last))
        while len(ends) > 2 and now - ends[1][0] > _WINDOW:
            ends.popleft()
        then, first = ends[0]
        return max(0, last - first) / (now - then) if now - then >= 1 else None
