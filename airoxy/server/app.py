"""The wiring of a worker, and what answers its requests: the proxy under /v1/, else the small
endpoints.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import environ
from pathlib import Path
from typing import Any

import apsw

from airoxy.config import Config, UpstreamSettings
from airoxy.core.request.browsers import preflight
from airoxy.core.request.headers import Headers
from airoxy.errors import StoreError
from airoxy.jobs.refresh import report_interrupted
from airoxy.server.admission import Admission, admission_to_worker
from airoxy.server.body_budget import budget_of_worker
from airoxy.server.endpoints import small_endpoints
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.limits.limiter import Limiter
from airoxy.server.metrics.counters import MetricCounters
from airoxy.server.metrics.endpoint import MetricsEndpoint
from airoxy.server.metrics.health import Health
from airoxy.server.metrics.load import Load, read_load
from airoxy.server.metrics.usage import UsageEndpoint
from airoxy.server.pool.limited_tokens import LimitedTokens
from airoxy.server.pool.pool import Pool
from airoxy.server.pool.recent import RecentTokens
from airoxy.server.pool.refresher import Refresher
from airoxy.server.pool.refusals import Refusals
from airoxy.server.pool.share_report import ShareReport
from airoxy.server.pool.snapshot import Snapshot
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.pool.token_limits import TokenLimits
from airoxy.server.pool.token_state import TokenState
from airoxy.server.proxy.proxy import Proxy
from airoxy.server.settled import SettledClaims
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.turns import NOBODY, Turns
from airoxy.server.unwritten import UnwrittenRequests
from airoxy.server.writer import Writer
from airoxy.store import tokens
from airoxy.store.audit.trail import SERVER, act_as
from airoxy.store.file.database_file import DatabaseFile
from airoxy.store.schema import open_database
from airoxy.store.usage import days
from airoxy.upstream.origin import proxy_for
from airoxy.upstream.upstream import Upstream

log = logging.getLogger(__name__)

Answer = Callable[[Request, Response], Coroutine[Any, Any, None]]


@dataclass
class ServerApp:
    """What a worker runs, and ends with `aclose` when the last request is through."""

    answer: Answer
    proxy: Proxy
    unwritten: UnwrittenRequests
    database: DatabaseFile
    db: apsw.Connection
    shares: ShareReport
    settled: SettledClaims
    admission: Admission
    _trouble: str | None = None

    @property
    def turns(self) -> Turns:
        return self.proxy.turns

    @property
    def load(self) -> Load:
        proxy = self.proxy
        return Load(proxy.running, proxy.upstream.open_connections, proxy.pool.writer.backlog)

    async def startup(self) -> None:
        """Nothing has to wait for the loop."""

    def check(self) -> None:
        """Called every second: see what has changed, write what workers that were killed have left,
        report to the agent of a fleet, take what it has decided, and see that the database is where
        it was."""
        try:
            self.proxy.ended.adopt(self.db)
        except Exception:  # the requests that are running matter more
            log.exception("What a worker has left could not be written.")
        try:
            # A worker that nobody asks has requests that end: they may count for a limit by now.
            self.proxy.pool.snapshot.renew()
        except Exception:
            log.exception("What has changed could not be read.")
        self.shares.report()
        self.settled.look()
        before, self._trouble = self._trouble, self.database.trouble()
        if self._trouble != before:
            if self._trouble:
                log.error("%s.", self._trouble)
            else:
                log.info("The database is back where it was.")

    async def aclose(self) -> None:
        """Let refreshes finish, and write the log rows that are left."""
        await self.proxy.pool.refresher.aclose()
        await self.proxy.upstream.aclose()
        self.proxy.ended.settle()
        self.check()
        self.proxy.pool.writer.close()
        self.unwritten.close()
        self.proxy.limiter.limit_counters.close()
        self.db.close()


def open_server(config: Config, memory: SharedMemory, workers: int = 1) -> ServerApp:
    """Everything of one worker, wired. Raises StoreError."""
    # The first request must not wait for the import of what decrypts the tokens.
    import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401

    db = open_database(config.database)
    database = DatabaseFile(config.database)
    # Should the file disappear, a new one in its place would only make matters worse.
    connect = partial(_connect, config.database)
    try:
        report_interrupted(db)
    except StoreError:
        pass  # without the tokens' key, which the snapshot reports
    except apsw.Error as error:  # a full disk keeps no worker from serving
        log.warning("Interrupted refreshes are told of at the next start: %s", error)
    try:
        days.settle(db, config.timezone, time.time())
    except apsw.Error as error:  # usage is summed by the days of before
        log.warning("The days of %s are not in force: %s", config.timezone, error)
    # The request path reads what it can at once and never waits for a lock.
    db.setbusytimeout(0)

    limit_counters = LimitCounters(memory)
    spent = SpentByTokens(memory, limit_counters, config.timezone)
    unwritten = UnwrittenRequests(memory)
    metric_counters = MetricCounters(memory, unwritten.count)
    unwritten.settle = metric_counters.settle
    writer = Writer(connect(locked=False), count=metric_counters.count, unwritten=unwritten)
    snapshot = Snapshot(db)
    pool = Pool(
        snapshot,
        _token_state(memory, db, workers),
        TokenLimits(spent, limit_counters),
        LimitedTokens(snapshot, spent, writer),
        Refusals(memory),
        writer,
        Refresher(config.oauth, connect),
        config.oauth.leave_at,
    )
    # So that no request waits until all keys and tokens are read.
    snapshot.renew()
    with suppress(apsw.Error):  # the writer reads it, too
        pool.limited_tokens.count_spent(db)
    # Prices are read now: the first request that is written may find no descriptor left.
    limiter = Limiter(
        limit_counters, snapshot.is_limited, db, config.pricing, config.timezone,
        hosts=lambda: snapshot.hosts, gained=snapshot.gained,
    )  # fmt: skip
    proxy = Proxy(
        config,
        pool,
        _upstream(config.upstream),
        limiter,
        RecentTokens(memory),
        metric_counters.refuse,
        budget_of_worker(workers),
        unwritten,
    )
    load = partial(read_load, memory)
    health = Health(pool, time.monotonic(), load, database)
    read = partial(open_database, config.database, create=False, readonly=True)
    models = config.pricing.models
    metrics = MetricsEndpoint(config.metrics.allow, pool, metric_counters, read, load, models)
    usage = UsageEndpoint(proxy.identify, read, config.timezone)
    answer = create_app(proxy, health, metrics, usage, browsers=config.browsers, turns=proxy.turns)
    shares = ShareReport(limit_counters, spent, db, writer)
    settled = SettledClaims(db, writer, metric_counters, spent)
    admission = admission_to_worker(config, workers, metric_counters.refuse_connection)
    app = ServerApp(answer, proxy, unwritten, database, db, shares, settled, admission)
    app.check()
    return app


def _connect(path: Path, *, locked: bool = True) -> apsw.Connection:
    """For what the server changes of its own accord."""
    db = open_database(path, create=False, locked=locked)
    act_as(db, SERVER)
    return db


def _token_state(memory: SharedMemory, db: apsw.Connection, workers: int) -> TokenState:
    """Last use and cooldowns outlive a restart."""
    token_state, now = TokenState(memory, shared=workers > 1), time.time()
    for row in tokens.list_tokens(db, now):
        token_state.recall(row["id"], row["last_used_at"] or 0)
    for cooling in tokens.coolings(db, now):
        token_state.cool_as_stored(cooling)
    return token_state


def _upstream(settings: UpstreamSettings) -> Upstream:
    return Upstream(
        settings.url,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        proxy=proxy_for(settings.url, settings.proxy, environ),
    )


def create_app(
    proxy: Answer,
    health: Health,
    metrics: MetricsEndpoint,
    usage: UsageEndpoint,
    *,
    browsers: bool = False,
    turns: Turns | None = None,
) -> Answer:
    """The proxy and the small endpoints; `browsers`: pages of other origins may use them; `turns`
    are those that the proxy shares out."""
    small = small_endpoints(health, metrics, usage)

    async def answer_small(request: Request, response: Response) -> None:
        if turns is not None and turns.are_shared(NOBODY, time.time()):
            await turns.wait(NOBODY)
        await small(request, response)

    def answer(request: Request, response: Response) -> Coroutine[Any, Any, None]:
        head = request.head
        if browsers and head.from_page and head.path != "/metrics":
            # The metrics are for this machine, and a page in its browser is not.
            head.for_page = True
            if head.method == "OPTIONS" and (allowed := preflight(head.headers)) is not None:
                return _answer_page(response, allowed)
        return proxy(request, response) if head.is_api else answer_small(request, response)

    return answer


async def _answer_page(response: Response, allowed: Headers) -> None:
    """The browser of a page from another origin asks what that may do, and for no more."""
    response.begin(204, allowed)
    response.write(b"", more=False)
