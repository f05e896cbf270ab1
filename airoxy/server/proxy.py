"""The way of a request under /v1/: authenticated, given a token, forwarded, passed back, counted.

The law: the loop in `_answer` is core.pool's table of verdicts, acted upon; no byte of an answer
has gone to the client while another token may still be tried.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airoxy.config import Config
from airoxy.core import pool as rules
from airoxy.core.body import Asked
from airoxy.core.headers import to_upstream
from airoxy.core.pool import Token, Verdict
from airoxy.core.pricing import PriceTable
from airoxy.core.resources import named_in_path, takes_system
from airoxy.errors import AiroxyError, ConnectFailed
from airoxy.server import pinning
from airoxy.server.auth import authenticate
from airoxy.server.incoming import ClientLeft, Incoming, Receive
from airoxy.server.pool import Pool, Wanted
from airoxy.server.reading import read_request, with_system_line
from airoxy.server.record import Record
from airoxy.server.relay import Answer, Send, hold, relay
from airoxy.upstream.client import Client
from airoxy.upstream.exchange import Exchange

SESSION_HEADER = b"x-claude-code-session-id"
#: Answers that may mean another token; all others are the client's.
_JUDGED = frozenset((401, 403, 429, 529))
#: So long (seconds) the row of a request waits for others.
COMPANY = 0.005
#: For so long (seconds) the snapshot is not looked after again. The command that changes something
#: needs longer to end after its commit, so what it did holds from the next request on.
UNSEEN = 0.002
_UNREAD = Asked(None, False, ())


@dataclass
class _Request:
    """One request over all its attempts."""

    scope: Mapping[str, Any]
    incoming: Incoming
    record: Record
    wanted: Wanted
    body: bytes | bytearray | AsyncIterator[bytes]

    @property
    def repeatable(self) -> bool:
        """A body that is streamed through is gone once it is sent."""
        return isinstance(self.body, bytes | bytearray)


@dataclass
class Proxy:
    """The ASGI application of /v1/; `app` renders the AiroxyErrors that it raises."""

    config: Config
    pool: Pool
    client: Client
    running: int = 0
    prices: PriceTable = field(init=False)
    _renewed_at: float = 0.0
    _ended: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Read now, because the first request that is written may find no descriptor left.
        self.prices = self.config.pricing

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        now = time.time()
        if not 0 <= now - self._renewed_at < UNSEEN:
            self.pool.snapshot.renew()
            self._renewed_at = now
        key_id = authenticate(scope["headers"], self.pool.snapshot)
        record = Record(key_id, scope["path"], now)
        self.running += 1
        try:
            await self._serve(scope, receive, send, record)
        except ClientLeft:
            record.client_left()
        except AiroxyError as error:
            record.failed(error)
            if not record.begun:
                raise
            # The answer has begun: returning without its end makes uvicorn break it off.
        except asyncio.CancelledError:
            record.stopped()
            raise
        finally:
            self.running -= 1
            self._account(record)

    async def _serve(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, record: Record
    ) -> None:
        incoming = Incoming(scope, receive)
        try:
            request = await self._read(scope, incoming, record)
            answer = await self._answer(request)
            try:
                if pinning.creates(scope["method"], scope["path"], answer.status):
                    answer = await pinning.remember(answer, record.token_id, self.pool.writer)
                await relay(answer, send, record)
            finally:
                answer.close()
        finally:
            incoming.close()

    def _account(self, record: Record) -> None:
        """The row is made when the client has what it asked for, and several together: one after
        the other they cost half."""
        record.end()
        if not self._ended:
            asyncio.get_running_loop().call_later(COMPANY, self.settle)
        self._ended.append(record)

    def settle(self) -> None:
        """Make the rows of the requests that have ended."""
        ended, self._ended = self._ended, []
        for record in ended:
            try:
                self._write(record)
            except Exception:
                print(traceback.format_exc(), file=sys.stderr, flush=True)

    def _write(self, record: Record) -> None:
        row = record.row(self.prices)
        if record.batch_id is None:
            self.pool.writer.row(row)
        else:
            self.pool.writer.do(partial(pinning.count_once, row=row, batch_id=record.batch_id))

    async def _read(
        self, scope: Mapping[str, Any], incoming: Incoming, record: Record
    ) -> _Request:
        body = await incoming.body()
        asked = await read_request(body) if isinstance(body, bytes | bytearray) else _UNREAD
        record.model, record.is_stream = asked.model, asked.stream
        named = named_in_path(scope["path"])
        resources = (named, *asked.resources) if named else asked.resources
        wanted = Wanted(
            rules.model_class(asked.model),
            self._session(scope["headers"]),
            pinning.token_of(resources, self.pool.snapshot) if resources else None,
        )
        return _Request(scope, incoming, record, wanted, body)

    def _session(self, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        if self.config.affinity == "none":
            return None
        return dict(headers).get(SESSION_HEADER)

    async def _answer(self, request: _Request) -> Answer:
        """Send until an answer is the client's; the last one when no token is left to try."""
        last: Answer | None = None
        unreachable: ConnectFailed | None = None
        wanted = request.wanted
        while len(wanted.tried) < self.config.max_attempts:
            token = await self.pool.next(wanted)
            if token is None:
                break
            try:
                response = await self._send(request, token)
            except ConnectFailed as error:
                if unreachable or not request.repeatable:
                    raise
                unreachable = error
                continue
            if response.status not in _JUDGED:
                return response
            verdict, last = await self._judge(wanted, token, response)
            self.pool.act(token, verdict)
            if not request.repeatable:
                break
            if verdict.then == "refresh":
                await self.pool.refresh(wanted, token)
        if last is None:
            raise unreachable or self.pool.nothing_ready(wanted)
        return last

    async def _send(self, request: _Request, token: Token) -> Exchange:
        scope, body = request.scope, request.body
        request.record.attempted(token)
        if token.type == "oauth" and isinstance(body, bytes | bytearray):
            if takes_system(scope["method"], scope["path"]):
                body = await with_system_line(body, self.config.oauth.system_line)
        exchange = self.client.start()
        request.incoming.watch(exchange, reading=not request.repeatable)
        query = scope["query_string"]
        await exchange.send(
            scope["method"].encode(),
            scope["raw_path"] + b"?" + query if query else scope["raw_path"],
            to_upstream(scope["headers"], token, self.client.host),
            body,
            length=request.incoming.length,
        )
        request.incoming.watch(exchange)
        return exchange

    async def _judge(
        self, wanted: Wanted, token: Token, response: Exchange
    ) -> tuple[Verdict, Answer]:
        held = await hold(response)
        verdict = rules.judge(
            token,
            held.status,
            dict(held.headers),
            held.text(),
            wanted.model_class,
            time.time(),
            refreshed=token.id in wanted.refreshed,
        )
        return verdict, held
