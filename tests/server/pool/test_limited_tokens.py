"""What is spent with a token that has limits of its own counts once, whatever happens when."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
import time
from typing import Any

import pytest

from airoxy.config import load_config
from airoxy.core.pool import EVERYTHING, Token
from airoxy.server.app import ServerApp, open_server
from airoxy.server.pool.pool import Wanted
from airoxy.server.process.memory import LAYOUT
from airoxy.server.proxy.request_log import RequestLog
from airoxy.server.shared_memory import SharedMemory
from airoxy.store.schema import transaction
from airoxy.store.tokens import set_token
from tests.program import Airoxy
from tests.server.pool.pooled import ONE

FORK = multiprocessing.get_context("fork")
OPUS = "claude-opus-5-5"
BATCH = "msgbatch_01AAAAAAAAAAAAAAAAAAAAAA"
DOCUMENT = json.dumps(
    {"type": "message", "model": OPUS, "usage": {"input_tokens": 3, "output_tokens": 7}}
).encode()
HEADERS = {b"content-type": b"application/json", b"content-length": b"%d" % len(DOCUMENT)}


def request(token: Token, app: ServerApp) -> RequestLog:
    """One that has been answered."""
    request_log = RequestLog(1, "/v1/messages", time.time(), app.unwritten)
    request_log.model = OPUS
    request_log.attempted(token)
    request_log.answered(200, HEADERS)(DOCUMENT)
    return request_log


COST = 3 * 4_000 + 7 * 20_000  # nano-dollars


def set_limit(airoxy: Airoxy, nanousd: int | None) -> None:
    with airoxy.opened() as db, transaction(db):
        set_token(db, 1, {"spend_per_day_nanousd": nanousd})


class Steps:
    """What happens in a worker, one after the other: requests are at their `end` for the client,
    then `hand` their rows to the writer, which has written all that it was given by `flush`."""

    def __init__(self, airoxy: Airoxy, app: ServerApp, limit: int) -> None:
        self.airoxy, self.app, self.limit = airoxy, app, limit
        self.pool, self.ended = app.proxy.pool, app.proxy.ended
        self.pool.snapshot.renew()
        self.token = self.pool.snapshot.tokens[1]
        self.open: list[RequestLog] = []
        self.requests = 0

    def end(self) -> None:
        self.requests += 1
        self.open.append(request(self.token, self.app))
        assert self.ended.before_end(self.open[-1], None) is None

    def hand(self) -> None:
        for request_log in self.open:
            self.ended.add(request_log)
        self.open.clear()
        self.ended.settle()

    def flush(self) -> None:
        written = threading.Event()
        self.pool.writer.do(lambda _: None, written.set)
        assert written.wait(60)

    def limited(self) -> None:
        self._set(self.limit)

    def free(self) -> None:
        self._set(None)

    def _set(self, limit: int | None) -> None:
        set_limit(self.airoxy, limit)
        self.pool.snapshot.renew()


async def is_used(app: ServerApp) -> bool:
    wanted = Wanted(EVERYTHING)
    token = await app.proxy.pool.next(wanted)
    app.proxy.pool.release(wanted)
    return token is not None


@pytest.mark.parametrize("steps", [
    "limited end hand flush",
    "end hand flush limited flush",
    "end hand limited flush",  # its row waits to be written when the limit is seen
    "end limited hand flush",
    "end hand limited end hand flush",
    "end hand flush limited end flush hand flush",  # counted, and written after the sums were read
    "end hand limited end flush hand flush",
    "limited end free hand flush limited flush",
    "limited end flush free limited flush hand flush",
    "limited end hand free end hand limited end hand flush",
    "limited end hand free end hand flush limited end flush hand flush",
    "end limited end free end hand flush limited end flush hand flush",
])  # fmt: skip
@pytest.mark.parametrize("is_reached", [True, False])
def test_each_request_counts_once(install, steps: str, is_reached: bool) -> None:
    airoxy = install()
    airoxy.token(ONE, name="one")
    airoxy.key()
    requests = steps.split().count("end")

    async def run() -> bool:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        done = Steps(airoxy, app, requests * COST + (not is_reached))
        for step in steps.split():
            getattr(done, step)()
        done.flush()
        found = await is_used(app)
        await app.aclose()
        return found

    assert asyncio.run(run()) is not is_reached
    with airoxy.opened() as db:
        rows: Any = db.cursor().execute("SELECT count(*), sum(cost_nanousd) FROM requests")
        assert next(rows) == (requests, requests * COST)


def fetch(token: Token, app: ServerApp) -> RequestLog:
    """One for the results of a batch, of which none was counted when it came."""
    result = {"custom_id": "1", "result": {"type": "succeeded", "message": json.loads(DOCUMENT)}}
    request_log = RequestLog(1, f"/v1/messages/batches/{BATCH}/results", time.time(), app.unwritten)
    request_log.method = "GET"
    request_log.attempted(token)
    request_log.answered(200, {b"content-type": b"application/x-jsonl"})(
        json.dumps(result).encode() + b"\n"
    )
    return request_log


@pytest.mark.parametrize("more", [0, 1])
def test_results_that_are_fetched_twice_at_once_count_once(install, more: int) -> None:
    airoxy = install()
    airoxy.token(ONE, name="one")
    airoxy.key()

    async def run() -> tuple[bool, int]:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        set_limit(airoxy, 10**12)
        steps = Steps(airoxy, app, 0)
        fetches = [fetch(steps.token, app) for _ in range(2)]
        for each in fetches:
            assert steps.ended.before_end(each, None) is None
        steps.open += fetches
        steps.hand()
        steps.flush()
        with airoxy.opened() as db:
            (cost,) = next(iter(db.cursor().execute("SELECT sum(cost_nanousd) FROM requests")))
        steps.limit = cost + more
        steps.limited()
        steps.flush()
        found = await is_used(app)
        await app.aclose()
        return found, cost

    assert asyncio.run(run()) == (bool(more), COST // 2)


@pytest.mark.parametrize("limit", [COST, COST + 1])
def test_a_request_of_a_killed_worker_counts_once(install, limit: int) -> None:
    airoxy = install()
    airoxy.token(ONE, name="one")
    airoxy.key()
    set_limit(airoxy, limit)
    memory = SharedMemory(LAYOUT)

    async def count_and_die() -> None:
        Steps(airoxy, open_server(load_config(airoxy.config), memory), limit).end()
        os._exit(0)

    async def run() -> bool:
        app = open_server(load_config(airoxy.config), memory)
        other = FORK.Process(target=lambda: asyncio.run(count_and_die()))
        other.start()
        other.join()
        app.check()
        Steps(airoxy, app, limit).flush()
        found = await is_used(app)
        await app.aclose()
        return found

    assert asyncio.run(run()) is (limit > COST)


def test_a_worker_that_nobody_asks_sees_that_a_token_has_limits(install) -> None:
    """What it still runs may end minutes later."""
    airoxy = install()
    airoxy.token(ONE, name="one")

    async def run() -> set[int]:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        set_limit(airoxy, 1)
        app.check()
        limited = set(app.proxy.pool.limited)
        await app.aclose()
        return limited

    assert asyncio.run(run()) == {1}


def test_a_worker_outlives_what_it_cannot_read(install, monkeypatch, caplog) -> None:
    airoxy = install()
    airoxy.token(ONE, name="one")

    def renew() -> None:
        raise ValueError("no number")

    async def run() -> None:
        app = open_server(load_config(airoxy.config), SharedMemory(LAYOUT))
        monkeypatch.setattr(app.proxy.pool.snapshot, "renew", renew)
        app.check()
        await app.aclose()

    asyncio.run(run())
    assert "What has changed could not be read." in caplog.text
