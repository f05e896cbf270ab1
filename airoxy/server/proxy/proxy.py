"""The way of a request under /v1/: authenticated, limited, forwarded, passed back, counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_network
from typing import Any

from airoxy.config import Config
from airoxy.core.limits.access import check_access
from airoxy.core.limits.holders import KeyLimits
from airoxy.core.limits.sharing import ALL
from airoxy.core.limits.windows import without_account
from airoxy.core.lists import is_list
from airoxy.core.pool import scope_of
from airoxy.core.request import body as body_rules
from airoxy.core.request.body import LARGE, Asked
from airoxy.core.request.conversation import tells_nothing
from airoxy.core.request.paths import Cost, creates
from airoxy.errors import AiroxyError, InternalError, Unauthorized
from airoxy.journal import about
from airoxy.server.body_budget import BodyBudget
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.http.response import Response
from airoxy.server.limits.addresses import check_address
from airoxy.server.limits.limiter import Limiter
from airoxy.server.pool.pool import Pool, Wanted
from airoxy.server.pool.recent import RecentTokens
from airoxy.server.proxy import affinity
from airoxy.server.proxy.answer.lists import Lists
from airoxy.server.proxy.answer.relay import AnswerSource, relay
from airoxy.server.proxy.answer.results_url import PublicAddress, names_results, with_own_host
from airoxy.server.proxy.attempts import Attempts, Body, Job
from airoxy.server.proxy.authentication import Client, authenticate, holds_on, moved
from airoxy.server.proxy.body import other_ids, read_request
from airoxy.server.proxy.conversations import Conversation
from airoxy.server.proxy.ended_requests import EndedRequests
from airoxy.server.proxy.refused_clients import RefusedClients
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.turns import NOBODY, Turns, TurnsOfKey
from airoxy.server.unwritten import UnwrittenRequests
from airoxy.upstream.upstream import Upstream

log = logging.getLogger(__name__)

#: For so long (seconds) the snapshot is not looked after again. The command that changes something
#: needs longer to end after its commit, so what it did holds from the next request on.
SNAPSHOT_TTL = 0.004
_UNREAD = Asked(None, False, ())
#: What a client key with a limit of money does not hear, since it hears of its own.
_without_windows = partial(without_account, organisation=False)


@dataclass
class Proxy:
    """Answers what is under /v1/; the AiroxyErrors that it raises are answers, too."""

    config: Config
    pool: Pool
    upstream: Upstream
    limiter: Limiter
    recent: RecentTokens
    count_refused: Callable[[], object]
    bodies: BodyBudget
    unwritten: UnwrittenRequests | None = None
    running: int = 0
    _renewed_at: float = 0.0

    def __post_init__(self) -> None:
        self.turns = Turns()
        self.ended = EndedRequests(self.pool, self.limiter.prices, self.unwritten)
        self._attempts = Attempts(self.config, self.pool, self.upstream)
        self._lists = Lists(self.upstream, self.pool.snapshot)
        trusted = tuple(map(ip_network, self.config.trusted_proxies))
        has_tls = self.config.tls.certificate is not None
        self._public = PublicAddress(has_tls, self.config.public_url, trusted)
        hides = self.config.hide_upstream_account
        self._stays = self.config.affinity != "none"
        self._cut = partial(without_account, organisation=True) if hides else None
        self._refused = RefusedClients(trusted, self.count_refused)

    async def __call__(self, request: Request, response: Response) -> None:
        now = time.time()
        try:
            client = self._known(request, now)
        except Unauthorized:
            if self.turns.are_shared(NOBODY, now):
                await self.turns.wait(NOBODY)
            now = time.time()
            client = self._authenticate(request, now)
        head, key_id = request.head, client.key_id
        request_log = RequestLog(key_id, head.path, now, self.unwritten, head.method)
        request_log.group_id, request_log.client_address = client.group_id, client.address
        self.running += 1
        try:
            if self.turns.are_shared(key_id, now):
                await self.turns.wait(key_id)
            await self._serve(request, response, request_log, client)
        except ClientLeft as left:
            request_log.client_left()
            left.__traceback__ = None
            await client.share.turn()  # many may leave at once
        except AiroxyError as error:
            request_log.failed(error)
            # The exchange keeps it, and its frames the exchange and the body: they would be garbage
            # that only the collector finds.
            error.__traceback__ = None
            if not response.begun:
                raise
            # The answer has begun: it is broken off, and what has come of it is read in its turn.
            await client.share.turn()
        except Exception as error:
            failure = InternalError()
            log.exception("A request has failed.", extra=about(failure.request_id))
            request_log.failed(failure)
            if not response.begun:
                raise failure from error
        except asyncio.CancelledError:
            request_log.stopped()
            raise
        finally:
            self.running -= 1
            request.release()
            self.ended.add(request_log)

    def identify(self, request: Request) -> tuple[int, KeyLimits | None]:
        """Whose key a request has, which is not one of the API's. Raises Unauthorized, NotReady,
        Forbidden."""
        client = self._authenticate(request, time.time())
        limits = client.limits
        if limits is not None and limits.networks:
            check_address(limits, self._refused.address_of(request))
        return client.key_id, limits

    def _authenticate(self, request: Request, now: float) -> Client:
        """Who is asking. Raises Unauthorized, NotReady."""
        try:
            try:
                return self._known(request, now)
            except Unauthorized:
                if self._renewed_at == now:
                    raise
                self._renewed_at = 0.0  # the key may be new
                return self._known(request, now)
        except Unauthorized as error:
            self._refused.refuse(error, request.client, request.head, now)
            raise

    def _known(self, request: Request, now: float) -> Client:
        """The same by a snapshot that may be some milliseconds old."""
        snapshot = self.pool.snapshot
        if not 0 <= now - self._renewed_at < SNAPSHOT_TTL:
            snapshot.renew()
            self._renewed_at = now
        client: Client | None = request.head.client
        if client is None or client.version != snapshot.version:
            client = self._recognise(request, now)
        return client

    def _recognise(self, request: Request, now: float) -> Client:
        """Who is asking, kept with the head where it holds until the snapshot changes."""
        head, snapshot = request.head, self.pool.snapshot
        head.client = None
        key_id, limits = authenticate(head.digests, snapshot, now, self.config.timezone)
        request.identified(key_id)
        logged = self.config.log_client_addresses
        client = Client(
            key_id,
            limits,
            snapshot.groups.get(key_id),
            snapshot.pools.get(key_id),
            self._refused.address_of(request) if logged else None,
            TurnsOfKey(self.turns, key_id),
            snapshot.version,
        )
        if holds_on(head.digests, snapshot, key_id, limits):
            head.client = client
        return client

    async def _serve(
        self,
        request: Request,
        response: Response,
        request_log: RequestLog,
        client: Client,
    ) -> None:
        head, limits = request.head, client.limits
        if limits is not None or head.cost is not Cost.COUNTED:
            await self._admit(request, request_log, limits)
        body = request.small_body()
        job = None if body is None else self._read_at_once(request, request_log, client, body)
        if job is None:
            job = await self._read(request, request_log, client, body)
        if limits is not None:
            job.body = await self.limiter.look(
                head, job.body, limits, request_log.reservation, request_log.model, job.share.pause
            )
        try:
            answer = await (self._attempts.answer(job) if head.takes_system else self._forward(job))
            job.body = b""  # nobody needs it any more, and the answer may take minutes
            request.release()
            try:
                await self._relay(answer, job, response, limits)
            finally:
                answer.close()
                request.forget()
        finally:
            self.pool.release(job.wanted)

    async def _admit(
        self, request: Request, request_log: RequestLog, limits: KeyLimits | None
    ) -> None:
        """Whether the key may ask for this, now. Raises what says that it may not."""
        head = request.head
        if limits is not None and limits.networks:
            check_address(limits, self._refused.address_of(request))
        if head.cost is not Cost.COUNTED:
            check_access(limits, head.cost, head.path)
            request_log.uncounted = head.cost is Cost.UNKNOWN
        if limits is not None and limits.metered:
            request_log.reservation = await self.limiter.admit(head, limits)

    async def _forward(self, job: Job) -> AnswerSource:
        """The answer to a request that is no message, but may be about things in an account."""
        answer = await self._listed(job)
        if answer is None:
            answer = await self._attempts.answer(job)
        job.body = b""
        job.request.release()
        try:
            return await self._of_resources(answer, job)
        except BaseException:
            answer.close()
            job.request.forget()
            raise

    def _relay(
        self, answer: AnswerSource, job: Job, response: Response, limits: KeyLimits | None
    ) -> Coroutine[Any, Any, None]:
        """Pass the answer on, with what the client is to hear, and without what it is not."""
        request_log = job.request_log
        told = job.told(request_log.token_name if self.config.tell_token else None)
        cut = self._cut
        if limits is not None and limits.spending:
            told += self.limiter.windows(limits.spending)
            cut = cut or _without_windows
        before_end = self.ended.before_end
        if job.wanted.runs_with is not None:
            before_end = partial(self._end_and_release, job.wanted)
        return relay(answer, response, request_log, before_end, told, cut, job.share.turn)

    async def _end_and_release(
        self, wanted: Wanted, request_log: RequestLog, container: str | None
    ) -> None:
        """The client's next request may run with the same upstream token, whichever worker it
        comes to; unless this one, which is counted first, has spent what the token may."""
        waiting = self.ended.before_end(request_log, container)
        if waiting is not None:
            await waiting
        self.pool.release(wanted)

    async def _of_resources(self, answer: AnswerSource, job: Job) -> AnswerSource:
        """The answer to a request that is about things in an account; note what it says of them."""
        request, head, request_log = job.request, job.request.head, job.request_log
        if creates(head.method, head.path) and 200 <= answer.status < 300:
            answer = await affinity.remember(
                answer, head.path, request_log.token_id, request_log.key_id, self.pool.writer
            )
        elif head.method == "DELETE":
            affinity.forget(head.path, answer.status, self.pool.writer)
        if head.ids and head.path.rstrip("/").endswith("/results"):
            request_log.counted_results = self.pool.snapshot.counted_results(head.ids[0])
        if names_results(head.path, answer):
            base = self._public.of(head.headers, request.client)
            answer = await with_own_host(answer, base)
        return answer

    async def _listed(self, job: Job) -> AnswerSource | None:
        """The answer to a request for a list, which is made of several accounts' lists, or of what
        is the key's own in one; None where it can pass as it is."""
        head, snapshot = job.request.head, self.pool.snapshot
        asker = snapshot.sharer(job.request_log.key_id)
        if not is_list(head.method, head.path):
            return None
        # Where a list begins does not say in which account the rest of it is.
        begins = b"after_id=" in head.query or b"before_id=" in head.query
        wanted = replace(job.wanted, pinned=None) if begins else job.wanted
        tokens = self.pool.able(wanted)
        if len(tokens) <= 1 and asker.shares == ALL and not snapshot.has_owners():
            return None
        if not tokens:  # perhaps one can be refreshed
            token = await self.pool.next(wanted)
            self.pool.release(wanted)  # lists take no place
            if token is None:
                raise self.pool.nothing_ready(wanted)
            tokens = [token]
        job.request_log.attempted(tokens[0])
        return await self._lists.answer(head, tokens, asker)

    def _read_at_once(
        self, request: Request, request_log: RequestLog, client: Client, body: bytes | bytearray
    ) -> Job | None:
        """What `_read` gives for a short body about nothing in an account, as nearly all are; None
        for every other."""
        head = request.head
        if head.ids or head.cost is Cost.UNKNOWN or len(body) >= LARGE:
            return None
        asked = body_rules.read_request(body)
        if asked.resources:
            return None
        request_log.request_bytes = len(body)
        request_log.model, request_log.is_stream = asked.model, asked.stream
        return self._job(request, request_log, client, body, asked, None)

    async def _read(
        self,
        request: Request,
        request_log: RequestLog,
        client: Client,
        body: bytes | bytearray | None,
    ) -> Job:
        head, key_id, pause = request.head, client.key_id, client.share.pause
        passed: Body | None = body
        if passed is None:
            passed = await request.body(self.bodies, key_id)
            client = moved(client, head.digests, self.pool.snapshot)
        asked, ids = _UNREAD, head.ids
        if isinstance(passed, (bytes, bytearray)):
            request_log.request_bytes = len(passed)
            asked = await read_request(passed, pause)
            request_log.model, request_log.is_stream = asked.model, asked.stream
            ids = (*ids, *asked.resources)
            if head.cost is Cost.UNKNOWN:
                ids = (*ids, *await other_ids(passed, pause))
        pinned = await affinity.token_of(ids, self.pool.snapshot, key_id) if ids else None
        return self._job(request, request_log, client, passed, asked, pinned)

    def _job(
        self,
        request: Request,
        request_log: RequestLog,
        client: Client,
        body: Body,
        asked: Asked,
        pinned: int | None,
    ) -> Job:
        head, stays = request.head, self._stays
        wanted = Wanted(
            scope_of(head.group, asked.model),
            head.session if stays else None,
            pinned,
            client.pool,
        )
        job = Job(request, request_log, wanted, body, client.share, asked.no_escapes)
        if (
            head.takes_system
            and isinstance(body, (bytes, bytearray))
            # It may be one of a conversation that stays with its token.
            and (head.threads or (stays and (head.session or not tells_nothing(body))))
        ):
            conversation = Conversation(self.recent, client.key_id)
            if conversation.find(head, body, wanted, request_log.now, stays=stays):
                job.conversation = conversation
        return job
