"""Warnings for the operator: which were given, and which ways have not taken theirs yet.

Invariant: an event is noted once in its period, before it is sent, so that it is sent again only to
a way that did not take it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

import apsw

from airoxy.store.schema import run, transaction

#: A way that is down is tried again after so many seconds, twice as many each time, up to an hour.
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 3600
#: After so many seconds nobody wants to hear of it any more.
_STALE = 3 * 86_400
#: An event is remembered longer than any period.
_FORGOTTEN = 400 * 86_400


class Waiting(NamedTuple):
    """A warning, and the ways by which it is still to be sent."""

    id: int
    document: dict[str, Any]
    ways: tuple[str, ...]
    tries: int
    trouble: str | None
    at: int


def note(
    db: apsw.Connection, event: str, period: str, document: dict[str, Any], ways: Collection[str]
) -> bool:
    """Whether it is news in this period; then it waits to be sent."""
    if run(db, "SELECT 1 FROM notices WHERE event = ? AND period = ?", (event, period)):
        return False
    return bool(
        run(
            db,
            "INSERT OR IGNORE INTO notices (event, period, at, document, waiting)"
            " VALUES (?, ?, ?, ?, ?) RETURNING 1",
            (event, period, document["at"], json.dumps(document), " ".join(ways)),
        )
    )


def waiting(db: apsw.Connection, now: float | None = None) -> list[Waiting]:
    """Those still to be sent, the oldest first; with `now` those whose time has come."""
    rows = run(
        db,
        "SELECT id, document, waiting, tries, trouble, at FROM notices"
        " WHERE waiting <> '' AND next_try_at <= ifnull(?, next_try_at) ORDER BY id",
        (None if now is None else int(now),),
    )
    return [
        Waiting(number, json.loads(document), tuple(ways.split()), *rest)
        for number, document, ways, *rest in rows
    ]


def note_try(
    db: apsw.Connection, sent: Waiting, left: Collection[str], trouble: str | None, now: float
) -> None:
    """It has been tried; `left` have not taken it."""
    pause = min(_FIRST_PAUSE << min(sent.tries, 10), _LONGEST_PAUSE)
    run(
        db,
        "UPDATE notices SET waiting = ?, tries = tries + 1, next_try_at = ?, trouble = ?"
        " WHERE id = ?",
        (" ".join(left), int(now) + pause, trouble, sent.id),
    )


def lasts(db: apsw.Connection, event: str, holds: bool, now: float) -> int | None:
    """Since when it holds, as far as it was looked at; None if it does not."""
    known = run(db, "SELECT since FROM lasting WHERE event = ?", (event,))
    if not holds:
        if known:
            run(db, "DELETE FROM lasting WHERE event = ?", (event,))
        return None
    if not known:
        run(db, "INSERT OR IGNORE INTO lasting VALUES (?, ?)", (event, int(now)))
        return int(now)
    return int(known[0][0])


def forget(db: apsw.Connection, ways: Collection[str], now: float) -> None:
    """Wait no longer for a way that is not configured any more, nor for what is stale."""
    with transaction(db):
        for each in waiting(db):
            left = [way for way in each.ways if way in ways and each.at > now - _STALE]
            if len(left) < len(each.ways):
                run(db, "UPDATE notices SET waiting = ? WHERE id = ?", (" ".join(left), each.id))
        run(db, "DELETE FROM notices WHERE at < ?", (int(now) - _FORGOTTEN,))
