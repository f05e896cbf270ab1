"""Batches and files stay with the token that made them.

The law: the id is in the database before the client learns it, so that any worker knows it when
it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial

import apsw

from airoxy.core.billing.usage_reader import UsageReader
from airoxy.core.request.paths import ids_in_path
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.relay import AnswerSource, Held, hold
from airoxy.server.writer import Operation, Writer
from airoxy.store import resources
from airoxy.store.usage import requests

log = logging.getLogger(__name__)

#: A client is not kept waiting for a disk that does not answer (seconds).
PATIENCE = 1.0


def token_of(named: Iterable[str], snapshot: Snapshot) -> int | None:
    """The id of the token that made the first of the `named` that is known."""
    for resource in named:
        if (token_id := snapshot.token_of(resource)) is not None:
            return token_id
    return None


async def remember(answer: AnswerSource, token_id: int | None, writer: Writer) -> Held:
    """Read `answer`, and note which token the batch or file in it belongs to."""
    held = await hold(answer)
    reader = UsageReader("json")
    reader.feed(held.text())
    reader.close()
    if reader.resource_id is not None and token_id is not None:
        await _written(
            writer,
            partial(
                resources.remember_resource,
                resource_id=reader.resource_id,
                token_id=token_id,
                now=time.time(),
            ),
        )
    return held


def forget(path: str, status: int, writer: Writer) -> None:
    """A batch or file that was deleted need not be known any more."""
    ids = ids_in_path(path)
    if ids and path.rstrip("/").endswith(ids[-1]) and status == 200:
        writer.do(partial(resources.forget_resource, resource_id=ids[-1]))


def count_once(db: apsw.Connection, row: requests.Row, batch_id: str) -> requests.Row:
    """Write `row`; its counts only if these results were not counted before (they are paid once,
    however often they are fetched). The row as it was written."""
    complete = row.ending == "complete" and row.status_code == 200
    if not complete or not resources.claim_results(
        db, batch_id, token_id=row.token_id, now=row.requested_at_ms / 1000
    ):
        row = requests.without_counts(row)
    requests.append(db, [row])
    return row


async def _written(writer: Writer, operation: Operation) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    writer.do(operation, committed=partial(loop.call_soon_threadsafe, _tell, done))
    await asyncio.wait((done,), timeout=PATIENCE)
    if not done.done():
        log.warning("The database is slow: a batch or file is not yet pinned.")


def _tell(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
