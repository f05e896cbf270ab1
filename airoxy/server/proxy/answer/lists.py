"""Lists of files, batches, skills and the like: a client key's own in all accounts, as one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airoxy.core.limits.sharing import ALL, Sharer
from airoxy.core.lists import (
    Item,
    ListQuery,
    Source,
    is_page,
    merged,
    own_page,
    read_page,
    read_query,
    write_query,
)
from airoxy.core.pool import Token
from airoxy.core.request.headers import Headers, credential_for, passed_to_upstream
from airoxy.core.request.paths import is_id
from airoxy.errors import AiroxyError, NotFound
from airoxy.server.http.head import RequestHead
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.proxy.answer.relay import Held, hold
from airoxy.upstream.upstream import Upstream

#: So many accounts are asked at once, and each for so many pages.
_AT_ONCE, _MOST_PAGES = 8, 50
#: Says how many accounts did not answer, and are not in the list.
_MISSING = b"x-airoxy-missing-accounts"
_NOT_PASSED = (b"content-length", b"content-encoding", b"transfer-encoding")


@dataclass(frozen=True)
class Lists:
    """Answers requests for lists."""

    upstream: Upstream
    snapshot: Snapshot

    async def answer(self, head: RequestHead, tokens: Sequence[Token], asker: Sharer) -> Held:
        """The list of what is the key's own in the accounts of all `tokens`. Raises InvalidInput,
        NotFound, UpstreamError."""
        listing = _Listing(self.upstream, self.snapshot, head, asker, read_query(head.query))
        return await listing.answer({token.id: token for token in tokens})


class _Listing:
    """One request for a list."""

    def __init__(
        self,
        upstream: Upstream,
        snapshot: Snapshot,
        head: RequestHead,
        asker: Sharer,
        query: ListQuery,
    ) -> None:
        self._upstream, self._snapshot, self._head = upstream, snapshot, head
        self._asker, self._query = asker, query
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._first: Held | None = None
        self._failed: Held | AiroxyError | None = None
        self._missing: set[int] = set()

    async def answer(self, tokens: dict[int, Token]) -> Held:
        query = self._query
        if query.page:
            places = read_page(query.page)
            sources = [
                Source(number, query._replace(page=place), skip)
                for number, (place, skip) in places.items()
                if number in tokens
            ]
        else:
            sources = [Source(number, query) for number in tokens]
        cursor = query.after_id or query.before_id
        keep = await self._from(cursor, sources, tokens) if cursor else _everything
        await self._fill(sources, tokens, keep)
        if self._first is None:
            if isinstance(self._failed, AiroxyError):
                raise self._failed
            return self._failed or Held(200, [], b'{"data":[],"has_more":false}')
        return self._written(self._first, sources)

    async def _from(
        self, cursor: str, sources: list[Source], tokens: dict[int, Token]
    ) -> Callable[[Source, Item], bool]:
        """Let the account that has the thing go on from it, and the others begin anew; which of
        their items come after it, or before it."""
        known = self._snapshot.resources((cursor,)).get(cursor)
        made_by = known.token_id if known else None
        numbers = [made_by] if made_by in tokens else list(tokens)
        target = self._head.path.rstrip("/").encode() + b"/" + cursor.encode()
        asked = [self._get(tokens[number], target) for number in numbers if number]
        found = [
            (number, answer)
            for number, answer in zip(numbers, await asyncio.gather(*asked), strict=True)
            if isinstance(answer, Held) and answer.status == 200
        ]
        if not found:
            raise NotFound(f"{cursor} was not found.")
        number, answer = found[0]
        item = Source(0, ListQuery()).take({"data": [_parsed(answer)]})[0]
        own = next(place for place, source in enumerate(sources) if source.token_id == number)
        order = {source.token_id: place for place, source in enumerate(sources)}
        forward = self._query.after_id is not None
        for source in sources:
            if source.token_id != number:
                source.next = source.next._replace(after_id=None, before_id=None)

        def keep(source: Source, other: Item) -> bool:
            if source.token_id == number:
                return True
            place = (-other.created, order[source.token_id])
            after = place > (-item.created, own)
            return other.id != cursor and after is forward

        return keep

    async def _fill(
        self,
        sources: list[Source],
        tokens: dict[int, Token],
        keep: Callable[[Source, Item], bool],
    ) -> None:
        """Read pages until each account has more than is to be shown, or nothing more."""
        backward = self._query.before_id is not None
        for _ in range(_MOST_PAGES):
            short = [
                source
                for source in sources
                if not source.done and (backward or len(source.items) <= self._query.limit)
            ]
            if not short:
                return
            await asyncio.gather(
                *(self._turn(source, tokens[source.token_id], keep) for source in short)
            )

    async def _turn(
        self, source: Source, token: Token, keep: Callable[[Source, Item], bool]
    ) -> None:
        query = write_query(source.next)
        answer = await self._get(token, self._head.raw_path + b"?" + query)
        document = _parsed(answer) if isinstance(answer, Held) and answer.status == 200 else None
        if document is None or not is_page(document):
            source.done = True
            self._missing.add(token.id)
            self._failed = answer
            return
        if isinstance(answer, Held):
            self._first = self._first or answer
        items = source.take(document)
        known = self._snapshot.resources([item.id for item in items])
        for item in items:
            resource = known.get(item.id)
            if resource is not None:
                mine = self._asker.may_use(resource.owner)
            else:
                mine = self._asker.shares == ALL or not is_id(item.id)
            if mine and keep(source, item):
                source.items.append(item)

    async def _get(self, token: Token, target: bytes) -> Held | AiroxyError:
        passed = [
            header
            for header in passed_to_upstream(self._head.headers, token.type)
            if header[0] != b"accept-encoding"
        ]
        headers: Headers = [(b"host", self._upstream.host), credential_for(token), *passed]
        async with self._places:
            try:
                return await hold(await self._upstream.send(b"GET", target, headers))
            except AiroxyError as error:
                return error

    def _written(self, first: Held, sources: list[Source]) -> Held:
        limit, backward = self._query.limit, self._query.before_id is not None
        everything = list(merged(sources))
        shown = everything[-limit:] if backward else everything[:limit]
        document = _parsed(first)
        more = len(everything) > limit or not all(source.done for source in sources)
        changes = {
            "data": [item.document for _, item in shown],
            "has_more": more,
            "first_id": shown[0][1].id if shown else None,
            "last_id": shown[-1][1].id if shown else None,
            "next_page": own_page(sources, shown) if "next_page" in document else None,
        }
        document |= {name: value for name, value in changes.items() if name in document}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = [header for header in first.headers if header[0] not in _NOT_PASSED]
        headers.append((b"content-length", b"%d" % len(body)))
        if self._missing:
            headers.append((_MISSING, b"%d" % len(self._missing)))
        return Held(first.status, headers, body)


def _everything(source: Source, item: Item) -> bool:
    """What a list shows that begins at its beginning."""
    del source, item
    return True


def _parsed(answer: Held) -> dict[str, object]:
    try:
        document = json.loads(answer.text())
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
