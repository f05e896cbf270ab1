"""Drives the coroutine that answers a request, as a task would, but at once.

It begins in the callback that brought the request and continues in the one that brings what it
waits for; a task would take a turn of the event loop each time. Futures are awaited as usual. Code
that asks for the current task (`asyncio.timeout`) needs a task of its own.

Invariant: of anything unforeseen the client learns no more than that it happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from airoxy.errors import AiroxyError, InternalError
from airoxy.journal import about
from airoxy.server.http.errors import answer_error
from airoxy.server.http.response import Response
from airoxy.upstream.exchange import PAUSED

log = logging.getLogger(__name__)


class Runner:
    """One of those in `running` from `start` until the coroutine has ended, whatever comes: the
    error that it raises is the answer, and what of the answer is not complete is broken off."""

    __slots__ = ("_future", "_loop", "_response", "_running", "_work")

    def __init__(self, loop: asyncio.AbstractEventLoop, running: set[Runner]) -> None:
        self._loop = loop
        self._running = running
        self._work: Coroutine[Any, Any, None]
        self._response: Response
        self._future: asyncio.Future[Any] | None = None

    def start(self, work: Coroutine[Any, Any, None], response: Response) -> None:
        """Begin, as far as it goes."""
        self._work, self._response = work, response
        self._running.add(self)
        self.resume()

    def resume(self) -> None:
        """Go on after a pause."""
        try:
            waits = self._work.send(None)
        except StopIteration:
            self._end()
        except BaseException as error:
            self._fail(error)
        else:
            if waits is not PAUSED:
                self._wait_for(waits)

    def cancel(self) -> None:
        """Raise CancelledError where it waits."""
        if self._future is not None:
            self._future.cancel()
            return
        try:
            self._work.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError):
            self._end()
        except BaseException as error:
            self._fail(error)

    def _wait_for(self, future: asyncio.Future[Any] | None) -> None:
        if future is None:  # sleep(0)
            self._loop.call_soon(self.resume)
            return
        self._future = future
        future.add_done_callback(self._go_on)

    def _go_on(self, _: asyncio.Future[Any]) -> None:
        self._future = None
        self.resume()

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            if not isinstance(error, AiroxyError):
                error = _unforeseen(error)
            if not self._response.begun:
                answer_error(self._response, error)
        self._end()

    def _end(self) -> None:
        self._running.discard(self)
        self._response.abandon()


def _unforeseen(error: BaseException) -> AiroxyError:
    """Say in the journal what happened; what the client is told of it."""
    report = InternalError()
    log.error("A request has failed.", exc_info=error, extra=about(report.request_id))
    return report
