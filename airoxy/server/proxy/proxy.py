"""The way of a request under /v1/: authenticated, given a token, forwarded, passed back, counted.

The law: the loop in `_answer` is core.pool's table of verdicts, acted upon; no byte of an answer
has gone to the client while another token may still be tried.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from airoxy.config import Config
from airoxy.core import pool as rules
from airoxy.core.limits import Limits
from airoxy.core.pool import Token, Verdict
from airoxy.core.request.body import Asked
from airoxy.core.request.headers import credential_for, passed_to_upstream
from airoxy.errors import AiroxyError, ConnectFailed
from airoxy.server.http.head import Known
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.limits.limiter import Gate
from airoxy.server.pool.pool import Pool, Wanted
from airoxy.server.proxy import affinity
from airoxy.server.proxy.authentication import authenticate
from airoxy.server.proxy.body import read_request, with_system_line
from airoxy.server.proxy.relay import Answer, hold, relay
from airoxy.server.proxy.request_log import Record
from airoxy.upstream.exchange import Exchange
from airoxy.upstream.upstream import Client, lines

#: Answers that may mean another token; all others are the client's.
_JUDGED = frozenset((401, 403, 429, 529))
#: So long (seconds) the row of a request waits for others.
COMPANY = 0.005
#: For so long (seconds) the snapshot is not looked after again. The command that changes something
#: needs longer to end after its commit, so what it did holds from the next request on.
UNSEEN = 0.004
_UNREAD = Asked(None, False, ())


@dataclass(slots=True)
class _Job:
    """One request over all its attempts."""

    request: Request
    record: Record
    wanted: Wanted
    body: bytes | bytearray | AsyncIterator[bytes]

    @property
    def repeatable(self) -> bool:
        """A body that is streamed through is gone once it is sent."""
        return isinstance(self.body, bytes | bytearray)


@dataclass
class Proxy:
    """Answers what is under /v1/; `app` renders the AiroxyErrors that it raises."""

    config: Config
    pool: Pool
    client: Client
    gate: Gate
    running: int = 0
    _renewed_at: float = 0.0
    _ended: list[Record] = field(default_factory=list)

    async def __call__(self, request: Request) -> None:
        now = time.time()
        if not 0 <= now - self._renewed_at < UNSEEN:
            self.pool.snapshot.renew()
            self._renewed_at = now
        key_id, limits = authenticate(request.known.digests, self.pool.snapshot, now)
        record = Record(key_id, request.known.path, now)
        self.running += 1
        try:
            await self._serve(request, record, limits)
        except ClientLeft:
            record.client_left()
        except AiroxyError as error:
            record.failed(error)
            if not request.begun:
                raise
            # The answer has begun: it is broken off.
        except asyncio.CancelledError:
            record.stopped()
            raise
        finally:
            self.running -= 1
            self._account(record)

    async def _serve(self, request: Request, record: Record, limits: Limits | None) -> None:
        known = request.known
        job = await self._read(request, record)
        if limits is not None:
            job.body = await self.gate.let_in(known, job.body, limits, record)
        answer = await self._answer(job)
        try:
            if affinity.creates(known.method, known.path, answer.status):
                answer = await affinity.remember(answer, record.token_id, self.pool.writer)
            elif known.method == "DELETE":
                affinity.forget(known.path, answer.status, self.pool.writer)
            await (relay if limits is None else self.gate.relay)(answer, request, record)
        finally:
            answer.close()
            request.forget()

    def _account(self, record: Record) -> None:
        """The row is made when the client has what it asked for, and several together: one after
        the other they cost half."""
        record.end()
        if record.grant is not None:
            record.grant.leave()
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
        grant, written = record.grant, None
        if grant is None:
            row = record.row(self.gate.prices)
        else:
            row = grant.count(record, self.gate.prices)
            written = partial(grant.written, row, asyncio.get_running_loop())
        if record.batch_id is None:
            self.pool.writer.row(row, written)
        else:
            count = partial(affinity.count_once, row=row, batch_id=record.batch_id)
            self.pool.writer.do(count, written)

    async def _read(self, request: Request, record: Record) -> _Job:
        known = request.known
        body = await request.body()
        asked = await read_request(body) if isinstance(body, bytes | bytearray) else _UNREAD
        record.model, record.is_stream = asked.model, asked.stream
        resources = (known.named, *asked.resources) if known.named else asked.resources
        wanted = Wanted(
            rules.model_class(asked.model),
            None if self.config.affinity == "none" else known.session,
            affinity.token_of(resources, self.pool.snapshot) if resources else None,
        )
        return _Job(request, record, wanted, body)

    async def _answer(self, job: _Job) -> Answer:
        """Send until an answer is the client's; the last one when no token is left to try."""
        last: Answer | None = None
        unreachable: ConnectFailed | None = None
        wanted = job.wanted
        while len(wanted.tried) < self.config.max_attempts:
            token = await self.pool.next(wanted)
            if token is None:
                break
            try:
                response = await self._send(job, token)
            except ConnectFailed as error:
                if unreachable or not job.repeatable:
                    raise
                unreachable = error
                continue
            if response.status not in _JUDGED:
                return response
            verdict, last = await self._judge(wanted, token, response)
            self.pool.act(token, verdict)
            if not job.repeatable:
                break
            if verdict.then == "refresh":
                await self.pool.refresh(wanted, token)
        if last is None:
            raise unreachable or self.pool.nothing_ready(wanted)
        return last

    async def _send(self, job: _Job, token: Token) -> Exchange:
        request, known, body = job.request, job.request.known, job.body
        job.record.attempted(token)
        if token.type == "oauth" and known.takes_system and isinstance(body, bytes | bytearray):
            body = await with_system_line(body, self.config.oauth.system_line)
        head = known.to_upstream.get(token.type) or self._head(known, token.type)
        exchange = self.client.start(request.driver)
        request.watch(exchange)
        await exchange.ask(head + lines(credential_for(token)), body, length=request.length)
        if not request.ended:
            request.forget()  # an early answer
        request.watch(exchange)
        return exchange

    def _head(self, known: Known, token_type: str) -> bytes:
        passed = passed_to_upstream(known.headers, token_type)
        host = (b"host", self.client.host)
        head = self.client.head(known.method.encode(), known.target, [host, *passed])
        known.to_upstream[token_type] = head
        return head

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
