"""What was made with an upstream token stays with it, and with the client key that made it.

Invariant: an id is in the database before the client learns it, so that every worker knows it when
it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

import apsw

from airoxy.core.request import json_scan
from airoxy.core.request.json_scan import Members, NotJson
from airoxy.core.request.paths import ids_in_path, is_id
from airoxy.errors import NotFound
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.answer.relay import HOLD_LIMIT, AnswerSource, Held, hold_if_short
from airoxy.server.proxy.request_log import ResultsSeen
from airoxy.server.writer import Operation, Writer
from airoxy.store import resources
from airoxy.store.fleet.claims import Claim, is_claimed, note_claim
from airoxy.store.usage import requests

log = logging.getLogger(__name__)

#: How long an answer waits for the database to note an id, which is somebody else's as well until
#: then: longer than a busy machine takes. Where nothing can be written it waits for one (seconds).
PATIENCE = 10
#: Ids that are looked up in one step (about a millisecond).
_AT_ONCE = 200


async def token_of(ids: Sequence[str], snapshot: Snapshot, key_id: int) -> int | None:
    """The id of the token in whose account the first is that is known. Raises NotFound for one that
    is another key's."""
    found = None
    for start in range(0, len(ids), _AT_ONCE):
        if start:
            await asyncio.sleep(0)
        some = ids[start : start + _AT_ONCE]
        known = snapshot.resources(some)
        for resource_id in some if known else ():
            if resource := known.get(resource_id):
                if not snapshot.sharer(key_id).may_use(resource.owner):
                    raise NotFound(f"{resource_id} was not found.")
                found = resource.token_id if found is None else found
    return found


async def remember(
    answer: AnswerSource, path: str, token_id: int | None, key_id: int, writer: Writer
) -> AnswerSource:
    """Read `answer`, if it may tell of something new, and note whose that is."""
    headers = answer.named
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    is_json = kind == b"application/json" or kind.endswith(b"+json")
    if not is_json or not _is_short(headers.get(b"content-length")):
        return answer
    held = await hold_if_short(answer)
    made = _id_of(held.text()) if isinstance(held, Held) else None
    if made is not None and token_id is not None and made not in ids_in_path(path):
        await remember_id(made, token_id, key_id, writer)
    return held


async def remember_id(resource_id: str, token_id: int, key_id: int, writer: Writer) -> None:
    """Note whose it is, and wait until that is written."""
    await _written(writer, _note(resource_id, token_id, key_id))


def note_id(resource_id: str, token_id: int, key_id: int, writer: Writer) -> None:
    """Note whose it is, soon."""
    writer.do(_note(resource_id, token_id, key_id))


def _note(resource_id: str, token_id: int, key_id: int) -> Operation:
    return partial(
        resources.remember_resource,
        resource_id=resource_id,
        token_id=token_id,
        key_id=key_id,
        now=time.time(),
    )


def forget(path: str, status: int, writer: Writer) -> None:
    """What was deleted need not be known any more."""
    ids = ids_in_path(path)
    if ids and path.rstrip("/").endswith(ids[-1]) and status == 200:
        writer.do(partial(resources.forget_resource, resource_id=ids[-1]))


def _is_short(length: bytes | None) -> bool:
    """Without a length it is held up to its bound."""
    return length is None or (len(length) <= 7 and int(length) <= HOLD_LIMIT)


def _id_of(document: bytes) -> str | None:
    """The `id` of a JSON object, if it has Anthropic's form."""
    try:
        member = json_scan.run(Members(document).find(b"id"))
    except NotJson:
        return None
    if member is None:
        return None
    text = json_scan.string(document, member.start, member.end, 300)
    return text if text is not None and is_id(text) else None


def count_once(db: apsw.Connection, row: requests.Row, batch: ResultsSeen) -> requests.Row | None:
    """Write `row`; its counts only if these results were not counted before (they are paid once,
    however often they are fetched, by the key that made the batch). The row as the metrics count it
    now; None where the fleet has to decide whose the counts are."""
    seen = range(batch.counted, batch.lines)
    now = row.requested_at_ms / 1000
    counts = resources.claim_results(
        db, batch.batch_id, row.token_id, row.api_key_id, now=now, seen=seen
    )
    if not counts:
        row = requests.without_counts(row)
    made = resources.find_resources(db, [batch.batch_id]).get(batch.batch_id)
    if made is not None and made.owner.key_id is not None:
        row = row._replace(api_key_id=made.owner.key_id, group_id=made.owner.group_id)
    requests.append(db, [row])
    if counts:
        # The id of what is inserted last stays the row's, by which the writer knows it.
        claim = Claim(db.last_insert_rowid(), batch.batch_id, seen.start, seen.stop)
        if note_claim(db, claim):
            return None
    return row


def count_adopted(
    db: apsw.Connection, row: requests.Row, batch: ResultsSeen, row_id: int
) -> requests.Row | None:
    """`count_once` for a worker that was killed, which may have written `row_id` already."""
    if not row_id or not requests.is_written(db, row_id, row, any_key=True):
        return count_once(db, row, batch)
    db.set_last_insert_rowid(row_id)  # as it was in the transaction that has inserted it
    (written,) = requests.rows(db, [row_id])
    return None if is_claimed(db, row_id) else written


async def _written(writer: Writer, operation: Operation) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    writer.do(operation, committed=partial(loop.call_soon_threadsafe, _tell, done))
    for _ in range(PATIENCE):
        await asyncio.wait((done,), timeout=1)
        if done.done():
            return
        if writer.trouble is not None:
            break
    log.warning("The database is slow: whose a new resource is has not been written yet.")


def _tell(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
