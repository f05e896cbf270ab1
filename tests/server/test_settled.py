"""What the fleet has decided of batches' results, in the server's memory."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import NamedTuple

import apsw
import pytest

from airoxy.server.limits.counters import REGION as LIMITS
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.metrics.counters import REGION as METRICS
from airoxy.server.metrics.counters import MetricCounters
from airoxy.server.pool.spent import REGION as TOKENS
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.settled import SettledClaims
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.writer import Writer
from airoxy.store.fleet.claims import Claim, forget_claim, is_settled, take_back
from airoxy.store.schema import open_database, run, transaction
from airoxy.store.usage import requests
from tests.databases import open_new
from tests.fleet.test_ship import row

TOKEN = 1


class Server(NamedTuple):
    """What of it is concerned, with a connection of the agent."""

    db: apsw.Connection
    metrics: MetricCounters
    limits: SpentByTokens
    settled: SettledClaims
    writer: Writer

    def decide(self, *, is_given: bool) -> None:
        """What the request 1 has counted, and wait until the server has heard of it."""
        claim = Claim(1, "msgbatch_1", 0, 4)
        with transaction(self.db):
            forget_claim(self.db, claim, is_given=is_given)
            if not is_given:
                take_back(self.db, claim, 4)
        assert is_settled(self.db)
        self.settled.look()
        heard = threading.Event()
        self.writer.do(lambda _: None, heard.set)
        assert heard.wait(60)
        assert not is_settled(self.db)

    def cost(self) -> int:
        """What the metrics have."""
        return sum(each.sums["cost_nanousd"] for _, each in self.metrics.read())

    def spent(self) -> tuple[int, int]:
        return self.limits.get(TOKEN, time.time())


@pytest.fixture
def server(tmp_path):
    path = tmp_path / "airoxy.db"
    db, memory = open_new(path), SharedMemory.of(METRICS, LIMITS, TOKENS)
    run(db, "PRAGMA foreign_keys = OFF")
    metrics, limits = MetricCounters(memory), SpentByTokens(memory, LimitCounters(memory))
    writer = Writer(open_database(path), count=metrics.count)
    with transaction(db):
        requests.append(db, [row(time.time(), 70), row(time.time(), 5)])
    with closing(open_database(path)) as own, closing(writer):
        yield Server(db, metrics, limits, SettledClaims(own, writer, metrics, limits), writer)
    memory.close()


def test_what_is_given_is_in_the_metrics_from_then_on_and_once(server):
    server.limits.begin_with(TOKEN, time.time(), 75, 75)
    assert server.cost() == 0
    server.decide(is_given=True)
    assert server.cost() == 70
    assert server.spent() == (75, 75)
    server.settled.look()
    assert server.cost() == 70


def test_what_is_lost_is_given_back_to_the_token(server):
    server.limits.begin_with(TOKEN, time.time(), 75, 175)
    server.decide(is_given=False)
    assert server.spent() == (5, 105)
    assert server.cost() == 0


def test_a_token_has_never_spent_less_than_the_database_says(server):
    """As after a restart, when the memory begins with what is left."""
    server.limits.begin_with(TOKEN, time.time(), 5, 5)
    server.decide(is_given=False)
    assert server.spent() == (5, 5)
