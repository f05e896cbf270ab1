"""One run of the timer: new warnings are noted in the database, and those that wait are sent."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from airoxy.config import Notify
from airoxy.jobs.notify.events import Event, Surroundings, find_events
from airoxy.jobs.notify.ways import Document, send
from airoxy.store import notices
from airoxy.views.times import rfc3339

log = logging.getLogger(__name__)

Send = Callable[[str, Notify, Document], "str | None"]
#: How often it is reported that the database cannot be written (seconds).
_UNNOTED = 3600


class Delivery(NamedTuple):
    """The way by which a warning was sent, and what went wrong (None: nothing)."""

    way: str
    trouble: str | None


def notify(
    db: apsw.Connection,
    settings: Notify,
    around: Surroundings,
    now: float,
    *,
    send: Send = send,
    directory: Path | None = None,
) -> int:
    """How many sendings have failed. While the database cannot be written, a file in `directory`
    remembers that this was reported."""
    ways = settings.ways
    try:
        notices.forget(db, ways, now)
        _note(db, find_events(db, around, settings.at, now), ways, now)
    except (apsw.ReadOnlyError, apsw.FullError, apsw.IOError, apsw.CorruptError) as error:
        return _tell_unwritten(settings, str(error), now, send, directory)
    failed = 0
    for each in notices.waiting(db, now):
        deliveries = deliver(each.document, settings, each.ways, send)
        left = [delivery.way for delivery in deliveries if delivery.trouble]
        trouble = next((delivery.trouble for delivery in deliveries if delivery.trouble), None)
        notices.note_try(db, each, left, trouble, now)
        failed += len(left)
    return failed


def deliver(
    document: Document, settings: Notify, ways: Iterable[str], send: Send = send
) -> list[Delivery]:
    """Send it by each of `ways`, even if another way fails."""
    deliveries = [Delivery(way, send(way, settings, told(document))) for way in ways]
    for way, trouble in deliveries:
        if trouble:
            log.warning("A warning could not be sent by %s: %s.", way, trouble)
        else:
            log.warning("Sent by %s: %s", way, document["text"])
    return deliveries


def describe(event: Event, now: float) -> Document:
    """The event as it is noted; `at` is a Unix time."""
    return {
        "event": event.name,
        "subject": event.subject,
        "text": event.text,
        "at": int(now),
        "host": socket.gethostname(),
    }


def told(document: Document) -> dict[str, Any]:
    """The document as programs get it."""
    return {**document, "at": rfc3339(document["at"])}


def _note(db: apsw.Connection, events: Iterable[Event], ways: tuple[str, ...], now: float) -> None:
    for event in events:
        notices.note(db, event.key, event.period, describe(event, now), ways)


def _tell_unwritten(
    settings: Notify, why: str, now: float, send: Send, directory: Path | None
) -> int:
    mark = directory and directory / "unwritten"
    try:
        if mark and mark.exists() and 0 <= time.time() - mark.stat().st_mtime < _UNNOTED:
            return 0
        if mark:
            mark.touch()
    except OSError:
        log.warning("%s cannot be written.", mark)
    event = Event("rows_unwritten", "", "", f"The database cannot be written: {why}.")
    deliveries = deliver(describe(event, now), settings, settings.ways, send)
    return sum(delivery.trouble is not None for delivery in deliveries)
