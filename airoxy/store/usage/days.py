"""The days of the daily sums: those of a time zone, as the database itself knows them.

Invariant: which day a moment is in never changes once it is past, so that what was added to a day's
sums can be found there again. Another time zone, or other rules of one, hold from now on.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import apsw

from airoxy.calendar import DAY_SECONDS, numbered_day
from airoxy.store.schema import run, transaction
from airoxy.store.usage import triggers

#: Changes of the clocks are known to the database so far ahead (seconds); the nightly job goes on.
_AHEAD = 800 * DAY_SECONDS


def settle(db: apsw.Connection, zone: datetime.tzinfo, now: float) -> bool:
    """From `now` on the days are those of `zone`; whether that is news."""
    wanted = list(offsets(zone, now, now + _AHEAD))
    if _known(db, now) == wanted:
        return False
    with transaction(db):
        known = _known(db, now)
        if known == wanted:  # another process was quicker
            return False
        run(db, "DELETE FROM day_offsets WHERE since > ?", (int(now),))
        first = 1 if known[0][1] == wanted[0][1] else 0
        db.cursor().executemany("INSERT OR REPLACE INTO day_offsets VALUES (?, ?)", wanted[first:])
        triggers.derive(db)
    return True


def today(db: apsw.Connection, now: float) -> datetime.date:
    """The day to whose sums a request of this moment is added."""
    ((offset,),) = run(
        db,
        "SELECT seconds FROM day_offsets WHERE since <= ? ORDER BY since DESC LIMIT 1",
        (int(now),),
    )
    return numbered_day((int(now) + offset) // DAY_SECONDS)


def offsets(zone: datetime.tzinfo, since: float, until: float) -> Iterator[tuple[int, int]]:
    """From when on (Unix time) clocks of the zone are how many seconds ahead of UTC."""
    at, offset = int(since), _offset(zone, int(since))
    yield at, offset
    while at < until:
        following = at + DAY_SECONDS
        if _offset(zone, following) != offset:
            at = _change(zone, at, following)
            offset = _offset(zone, at)
            if at <= until:
                yield at, offset
        else:
            at = following


def _change(zone: datetime.tzinfo, before: int, after: int) -> int:
    """The first second with another offset than `before`."""
    offset = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: datetime.tzinfo, seconds: int) -> int:
    found = datetime.datetime.fromtimestamp(seconds, zone).utcoffset()
    return int(found.total_seconds()) if found else 0


def _known(db: apsw.Connection, now: float) -> list[tuple[int, int]]:
    """What the database has, in the form of `offsets` from `now` on."""
    rows = run(db, "SELECT since, seconds FROM day_offsets ORDER BY since")
    past = [offset for since, offset in rows if since <= now]
    return [(int(now), past[-1]), *((since, offset) for since, offset in rows if since > now)]
