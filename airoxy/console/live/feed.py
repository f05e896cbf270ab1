"""The live feed: each moment for everybody who watches, as events for a browser's EventSource.

Invariant: however many watch, the database is looked at once in a moment, and not at all while
nobody does. Who may not look any more gets nothing more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airoxy.console.live.health import Health, HealthWatch
from airoxy.console.live.look import MOST_ROWS, Look, Moment, Watchers
from airoxy.console.live.view import CLOSING, LOGGED_OUT, REPLACED, View
from airoxy.console.threads import DatabaseThreads
from airoxy.console.visit import Services
from airoxy.errors import AiroxyError
from airoxy.views.formats import dollars

#: How often the database is read (seconds).
PACE = 1.0
#: How often a view without news gets an empty event (seconds): proxies close silent connections.
HEARTBEAT = 15.0
#: Most views of one session or API token (a browser has six connections for a host), and in all.
MOST_OF_ONE, MOST_OF_ALL = 4, 100
log = logging.getLogger(__name__)


class TooManyViews(AiroxyError):
    """So many watch that nobody else can."""

    status, kind = 503, "overloaded_error"


class LiveEvent(NamedTuple):
    """One without a name only keeps the connection."""

    name: str = ""
    text: str = ""
    id: int | None = None


class Feed:
    """For all who watch."""

    def __init__(self, services: Services, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._look = Look(services.clock, services.config.timezone)
        self._server = HealthWatch(services.ask_health, PACE)
        # Weak: that of a client that left before its first event is never iterated to its end.
        self._views: weakref.WeakSet[View] = weakref.WeakSet()
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Future[None] | None = None
        self._closed = False
        self._moment = Moment(0)
        self._numbers = ""
        self._rows: deque[tuple[Mapping[str, Any], str]] = deque(maxlen=5 * MOST_ROWS)

    def open(self, view: View) -> AsyncIterator[LiveEvent]:
        """What it sees, as it happens. Of too many of one owner the oldest ends. Raises
        TooManyViews."""
        running = [each for each in self._views if not each.over]
        own = [each for each in running if each.owner == view.owner]
        if len(own) >= MOST_OF_ONE:
            min(own, key=lambda each: each.age).over = REPLACED
        elif len(running) >= MOST_OF_ALL:
            raise TooManyViews(
                "Too many are watching already; try again in a minute.",
                headers=(("retry-after", "60"),),
            )
        self._views.add(view)
        if self._looking is None or self._looking.done():
            self._server.begin()
            self._looking = asyncio.ensure_future(self._run(view.position))
        return self._events(view)

    async def close(self) -> None:
        """All views end."""
        self._closed = True
        self._server.close()
        for view in self._views:
            view.over = view.over or CLOSING
        self._wake()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _run(self, position: int) -> None:
        """Look, and wake everybody, until nobody watches."""
        try:
            while self._views and not self._closed:
                try:
                    await self._see(position)
                except AiroxyError as error:  # the database is away for a moment
                    log.warning("Live views are waiting: %s", error.message)
                except Exception:
                    log.exception("Fault in the live views")
                self._wake()
                await asyncio.sleep(PACE)
        finally:
            self._server.pause()
            self._rows.clear()
            self._look.forget()

    async def _see(self, position: int) -> None:
        owners = [view.owner for view in self._views]
        watchers = Watchers(
            frozenset(session for session, _ in owners if session is not None),
            frozenset(token for _, token in owners if token is not None),
        )
        self._moment = moment = await self._threads.run(
            lambda db: self._look(db, watchers, position)
        )
        self._numbers = json.dumps(numbers(moment, self._server.health), ensure_ascii=False)
        self._rows.extend((row, json.dumps(row, ensure_ascii=False)) for row in moment.rows)
        gone = watchers.sessions - moment.allowed.sessions, watchers.tokens - moment.allowed.tokens
        for view in self._views:
            if view.visitor.session in gone[0] or view.visitor.token in gone[1]:
                view.over = view.over or LOGGED_OUT

    def _wake(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    async def _woken(self) -> None:
        """The next moment, or a while in which there is none."""
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._next}, timeout=HEARTBEAT)

    async def _events(self, view: View) -> AsyncIterator[LiveEvent]:
        loop = asyncio.get_running_loop()
        told, told_at = "", loop.time()
        try:
            yield LiveEvent()  # the connection stands
            if view.missed:
                texts = [json.dumps(row, ensure_ascii=False) for row in view.missed]
                yield _rows(texts, view.position)
            while not view.over:
                await self._woken()
                for event in () if view.over else self._news(view, told):
                    told = event.text if event.name == "numbers" else told
                    told_at = loop.time()
                    yield event
                if loop.time() - told_at >= HEARTBEAT:
                    told_at = loop.time()
                    yield LiveEvent()
            yield LiveEvent("end", json.dumps({"reason": view.over}))
        finally:
            self._views.discard(view)

    def _news(self, view: View, told: str) -> Iterator[LiveEvent]:
        """What has become different since it was `told` these numbers."""
        if view.numbers and self._numbers and self._numbers != told:
            yield LiveEvent("numbers", self._numbers)
        last = self._moment.last
        if view.rows and last > view.position:
            left_out = view.position < self._moment.left_out
            new = [
                text
                for row, text in self._rows
                if row["id"] > view.position and view.wanted.admits(row)
            ]
            view.position = last
            if new or left_out:
                yield _rows(new, last, left_out=left_out)


def _rows(texts: Sequence[str], last: int, *, left_out: bool = False) -> LiveEvent:
    told = str(left_out).lower()
    return LiveEvent("rows", f'{{"rows": [{", ".join(texts)}], "left_out": {told}}}', last)


def numbers(moment: Moment, health: Health | None) -> dict[str, Any]:
    """What goes on; what the server alone knows is None where it has not said it."""
    status, said = health or (None, {})
    today = moment.today or {}
    spent = today.get("cost_nanousd", 0)
    return {
        "requests_per_second": None if moment.rate is None else round(moment.rate, 1),
        **{name: said.get(name) for name in ("streams_open", "tokens_ready", "log_rows_waiting")},
        "server": None if health is None else said.get("status", "unknown") if status else "silent",
        "trouble": said.get("reason") or said.get("warning"),
        "requests_today": today.get("requests", 0),
        "failed_today": today.get("failed", 0),
        "spent_today_nanousd": spent,
        "spent_today": dollars(spent),
    }
