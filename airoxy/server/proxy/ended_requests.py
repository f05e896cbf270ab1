"""What becomes of requests that have ended: they are counted, and their rows are written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

import apsw

from airoxy.core.billing.pricing import PriceTable
from airoxy.server.pool.pool import Pool
from airoxy.server.pool.spent import Writing
from airoxy.server.proxy import affinity
from airoxy.server.proxy.request_log import RequestLog, ResultsSeen
from airoxy.server.unwritten import Slot, Unwritten, UnwrittenRequests
from airoxy.store.usage import requests
from airoxy.store.usage.requests import Row

log = logging.getLogger(__name__)

#: So long (seconds) the row of a request waits for others.
_ROW_DELAY = 0.005


class EndedRequests:
    """Those of this worker, and of workers that were killed."""

    def __init__(self, pool: Pool, prices: PriceTable, unwritten: UnwrittenRequests | None) -> None:
        self._pool, self._prices, self._unwritten = pool, prices, unwritten
        self._ended: list[RequestLog] = []
        self._adopted: list[Unwritten] = []

    def before_end(
        self, request_log: RequestLog, container: str | None
    ) -> Coroutine[Any, Any, None] | None:
        """Before its client has the end of the answer, its container is remembered, and a request
        is kept for its row; with limits of its key or token it is counted too, so that the next
        one does not meet what is held for this one, nor is let in by money that this one spent."""
        if container and request_log.token_id:
            return self._end_with_container(request_log, container, request_log.token_id)
        self._end(request_log)
        return None

    async def _end_with_container(
        self, request_log: RequestLog, container: str, token_id: int
    ) -> None:
        if not self._pool.snapshot.resources((container,)):
            key_id, writer = request_log.key_id, self._pool.writer
            await affinity.remember_id(container, token_id, key_id, writer)
        self._end(request_log)

    def _end(self, request_log: RequestLog) -> None:
        request_log.end()
        if (reservation := request_log.reservation) is not None:
            self._row(request_log)
            reservation.leave()
        if request_log.token_id in self._pool.limited:
            self._spend(request_log, self._row(request_log))

    def _row(self, request_log: RequestLog) -> Row:
        """By what is known now; it is counted for the limits of the key."""
        if request_log.reservation is None:
            return request_log.row(self._prices)
        return request_log.reservation.count(partial(request_log.row, self._prices))

    def _spend(self, request_log: RequestLog, row: Row) -> None:
        """Count it for the limits of the token, once."""
        more = row.cost_nanousd - request_log.spent_nanousd
        if more and row.token_id:
            self._pool.limited_tokens.add(row.token_id, more, request_log.now)
            request_log.spent_nanousd = row.cost_nanousd

    def add(self, request_log: RequestLog) -> None:
        """The row is made when the client has what it asked for, and several together: one after
        the other they cost half."""
        request_log.end()
        if request_log.reservation is not None:
            request_log.reservation.leave()
        if not self._ended:
            asyncio.get_running_loop().call_later(_ROW_DELAY, self.settle)
        self._ended.append(request_log)

    def settle(self) -> None:
        """Make the rows of the requests that have ended."""
        ended, self._ended = self._ended, []
        for request_log in ended:
            try:
                self._write(request_log)
            except Exception:
                log.exception("A log row is lost.")
                self._free(request_log.slot)

    def _free(self, slot: Slot | None) -> None:
        if self._unwritten is not None:
            self._unwritten.free([slot])

    def _write(self, request_log: RequestLog) -> None:
        row, written, writing = self._row(request_log), None, None
        writer = self._pool.writer
        if (reservation := request_log.reservation) is not None:
            written = partial(reservation.written, row, asyncio.get_running_loop())
        if row.token_id in self._pool.limited:
            self._spend(request_log, row)
        if request_log.spent_nanousd:
            spent, came = request_log.spent_nanousd, request_log.now
            writing = self._pool.limited_tokens.writing(row, spent, came)
        if request_log.container_id and row.token_id:
            affinity.note_id(request_log.container_id, row.token_id, row.api_key_id, writer)
        if (batch := request_log.batch) is None:
            writer.row(row, written, request_log.slot, writing)
        else:
            count = partial(_count_once, row=row, batch=batch, writing=writing)
            writer.do(count, written, request_log.slot)

    def adopt(self, db: apsw.Connection) -> None:
        """Write the rows of workers that were killed. While `db` cannot be read nobody knows which
        of them are written: they wait for the next call."""
        if self._unwritten is None:
            return
        if adopted := self._unwritten.adopt():
            self._adopted += adopted
            self._pool.limited_tokens.forget_dead()
        if not self._adopted:
            return
        while self._adopted:
            left = self._adopted.pop()
            try:
                self._write_adopted(left, db)
            except apsw.Error:
                self._adopted.append(left)
                return
            except Exception:
                log.exception("A log row is lost.")
                self._free(left.slot)
        self._pool.limited_tokens.count_anew()

    def _write_adopted(self, left: Unwritten, db: apsw.Connection) -> None:
        request_log = RequestLog.adopted(left)
        row = request_log.row(self._prices)
        if (batch := request_log.batch) is not None and not left.counted:
            # They are counted by what the database makes of them.
            count = partial(affinity.count_adopted, row=row, batch=batch, row_id=left.row_id)
            self._pool.writer.do(count, slot=left.slot)
        elif batch or (left.row_id and requests.is_written(db, left.row_id, row)):
            self._free(left.slot)
        else:
            self._pool.writer.row(row, slot=left.slot, counted=left.counted)


def _count_once(
    db: apsw.Connection, row: Row, batch: ResultsSeen, writing: Writing | None
) -> Row | None:
    """See `affinity.count_once`."""
    counted = affinity.count_once(db, row, batch)
    if writing is not None:
        writing(db, counted)
    return counted
