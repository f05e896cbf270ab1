"""The attempts of one request: tokens are chosen, asked and judged until an answer is the client's.

Invariant: no byte of an answer goes to the client while another token may still be tried; the last
answer goes to it as it came.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from airoxy.config import Config
from airoxy.core.answers.verdict import ANSWER, JUDGED, Reply, Situation, Verdict, judge, needs_body
from airoxy.core.pool import Token
from airoxy.core.request.headers import Headers, credential_for, passed_to_upstream
from airoxy.core.request.paths import CHAT, creates
from airoxy.errors import ConnectFailed, ConnectTimeout
from airoxy.server.http.head import RequestHead
from airoxy.server.http.request import Request
from airoxy.server.pool.pool import Pool, Wanted
from airoxy.server.proxy.answer.peek import begins_overloaded, peek_error, peek_now
from airoxy.server.proxy.body import with_system_line
from airoxy.server.proxy.conversations import Conversation
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.turns import TurnsOfKey
from airoxy.upstream.exchange import Exchange
from airoxy.upstream.upstream import Upstream, lines

Body = bytes | bytearray | AsyncIterator[bytes]

_OVERLOADED = 529
_NO_CREDENTIAL: tuple[Token | None, bytes] = (None, b"")
_ASCII_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-fA-F])")


@dataclass(slots=True)
class Job:
    """One request over all its attempts."""

    request: Request
    request_log: RequestLog
    wanted: Wanted
    body: Body
    share: TurnsOfKey
    #: The body is known to be without \u00.
    no_escapes: bool = False
    conversation: Conversation | None = None
    overloads: int = 0
    refusals: int = 0

    @property
    def repeatable(self) -> bool:
        """A body that is streamed through is gone once it is sent."""
        return isinstance(self.body, (bytes, bytearray))

    def told(self, token_name: str | None) -> Headers:
        """What the client is told of what has happened, if anything has."""
        told: Headers = []
        if self.request_log.attempts > 1:
            told.append((b"x-airoxy-attempts", b"%d" % self.request_log.attempts))
        if token_name is not None:
            told.append((b"x-airoxy-token", _header_value(token_name)))
        if self.conversation is not None and self.conversation.moved:
            told.append((b"x-airoxy-moved", b"1"))
        return told

    def situation(self, token: Token) -> Situation:
        """What `judge` has to know of the request."""
        head, wanted = self.request.head, self.wanted
        return Situation(
            wanted.scope,
            head.path,
            conversation=wanted.session is not None,
            from_browser=head.from_page,
            refreshed=token.id in wanted.refreshed,
            overloads=self.overloads,
            refusals=self.refusals,
            said_by_client=self.says,
        )

    def says(self, words: str) -> bool:
        """Whether the body has these words: an error may repeat what the client made up."""
        if not isinstance(self.body, bytes | bytearray):
            return False
        body = _ASCII_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), self.body)
        return words.lower().encode() in body.lower()


@dataclass(frozen=True)
class Attempts:
    config: Config
    pool: Pool
    upstream: Upstream
    #: The line of a request's head that has the secret of a token, by its id.
    _credentials: dict[int, tuple[Token, bytes]] = field(default_factory=dict)

    async def answer(self, job: Job) -> Exchange:
        """The answer that is the client's; the last one where no token is left to try."""
        last: Exchange | None = None
        unreachable: ConnectFailed | None = None
        wanted = job.wanted
        try:
            while len(wanted.tried) < self.config.max_attempts:
                token = self.pool.take(wanted)
                if token is None:
                    token = await self.pool.next(wanted, request_id_of(last) if last else None)
                if token is None:
                    if wanted.unavailable is not None:
                        raise wanted.unavailable()
                    break
                job.request_log.attempted(token)
                body = job.body if token.type != "oauth" else await self._with_system_line(job)
                exchange = self.upstream.start(job.request.runner, job.share)
                try:
                    await self._send(job, token, exchange, body)
                except ConnectFailed as error:
                    if unreachable or not job.repeatable or isinstance(error, ConnectTimeout):
                        raise
                    unreachable = error
                    continue
                if not job.request.ended:  # an early answer
                    job.request.forget()
                    job.request.watch(exchange)
                if last is not None:
                    last.close()
                last = exchange
                if self._is_served(job, token, exchange):
                    break
                verdict = await self._judge(job, token, exchange)
                if verdict.then == "answer" or not await self._go_on(job, token, verdict, exchange):
                    break
            if last is None:
                raise unreachable or self.pool.nothing_ready(wanted)
            job.request.watch(last)
        except BaseException:
            if last is not None:
                last.close()
            raise
        return last

    async def _with_system_line(self, job: Job) -> Body:
        """The body as a subscription token needs it."""
        body, lines = job.body, self.config.oauth.lines
        if not job.request.head.takes_system or not isinstance(body, (bytes, bytearray)):
            return body
        return await with_system_line(body, lines, job.share.pause, no_escapes=job.no_escapes)

    def _send(
        self, job: Job, token: Token, exchange: Exchange, body: Body
    ) -> Coroutine[Any, Any, None]:
        request, head = job.request, job.request.head
        request.watch(exchange)
        lead = head.to_upstream.get(token.type) or self._lead(head, token.type)
        # What makes something must not be done twice.
        once = not head.takes_system and creates(head.method, head.path)
        lead += self._credential(token, head)
        return exchange.send(lead, body, length=request.length, once=once)

    def _credential(self, token: Token, head: RequestHead) -> bytes:
        if not head.takes_system and head.path.startswith(CHAT):
            return lines(credential_for(token, bearer=True))
        made_for, line = self._credentials.get(token.id, _NO_CREDENTIAL)
        if made_for is not token:
            line = lines(credential_for(token))
            self._credentials[token.id] = token, line
        return line

    def _lead(self, head: RequestHead, token_type: str) -> bytes:
        passed = passed_to_upstream(head.headers, token_type, browsers=self.config.browsers)
        host = (b"host", self.upstream.host)
        lead = self.upstream.head(head.method.encode(), head.target, [host, *passed])
        head.to_upstream[token_type] = lead
        return lead

    def _is_served(self, job: Job, token: Token, exchange: Exchange) -> bool:
        """Whether nothing more is to be known of the answer, as mostly."""
        if token.type == "oauth":
            self.pool.answered(token, exchange.headers)
        if exchange.status >= 300:
            return False
        self.pool.succeeded(token)
        return not job.request_log.is_stream and job.conversation is None

    async def _judge(self, job: Job, token: Token, exchange: Exchange) -> Verdict:
        status = exchange.status
        if status < 300:
            if not job.request_log.is_stream or not await begins_overloaded(exchange):
                if job.conversation is not None:
                    await job.conversation.served(token, exchange, time.time())
                    job.request_log.moved = job.conversation.moved
                return ANSWER
            status = _OVERLOADED
        elif status not in JUDGED:
            return ANSWER
        headers, now = exchange.named, time.time()
        if needs_body(status, headers, job.wanted.scope, now):
            body = await peek_error(exchange)
        else:
            body = peek_now(exchange)
        reply = Reply(status, headers, body)
        phrases = self.config.upstream.account_errors
        verdict = judge(token, reply, job.situation(token), now, phrases)
        self.pool.act(token, verdict, request_id_of(exchange))
        job.overloads += status == _OVERLOADED
        job.refusals += status == 401 and verdict.deactivate is None and verdict.then != "refresh"
        return verdict

    async def _go_on(self, job: Job, token: Token, verdict: Verdict, exchange: Exchange) -> bool:
        """Prepare the next attempt; False if there can be none."""
        wanted = job.wanted
        if not job.repeatable:
            return False
        if verdict.then == "refresh":
            await self.pool.refresh(wanted, token, request_id_of(exchange))
        patient = verdict.pause <= wanted.patience
        if verdict.then == "again" and patient:
            wanted.again(token)
        if verdict.pause and verdict.cooldown is None:  # else the pool waits until it is over
            if not patient or not (verdict.then == "again" or self.pool.has_another(wanted)):
                return False
            await self.pool.pause(wanted, verdict.pause)
        return True


def _header_value(name: str) -> bytes:
    """A name as a header can hold it, with what is no ASCII percent-encoded."""
    return quote(name, safe=" !#$&'()*+,/:;=?@[]~").encode()


def request_id_of(exchange: Exchange) -> str | None:
    """The id that Anthropic gave to a request."""
    found = (value for name, value in exchange.headers if name == b"request-id")
    return next(found, b"").decode("latin-1")[:100] or None
