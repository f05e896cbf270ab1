"""A worker is killed before any of its steps, and so is the one that adopts what it has left.

AIROXY_KILLS (20) says how often in each of the two tests; where there are fewer steps it is before
each of them.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401 - else each process imports it
import pytest

from airoxy.config import Config
from airoxy.server.limits.counters import LimitCounters
from airoxy.server.metrics.counters import REGION, CounterLabels, CounterValues, MetricCounters
from airoxy.server.pool.spent import SpentByTokens
from airoxy.server.process.memory import LAYOUT
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.unwritten import count_left
from airoxy.store import resources, schema, token_spending
from airoxy.store.schema import open_database
from airoxy.store.usage import requests
from airoxy.store.usage.requests import Row
from tests.server import killed
from tests.server.killed import BATCH, BEGUN, ENDED, LIMITED, PLAIN, Notes, Step

KILLS = int(os.environ.get("AIROXY_KILLS", "20"))
#: Threads of a worker.
THREADS = ("MainThread", "writer")
#: Nobody comes to it.
NEVER = Step("nobody", 0)


class Workers:
    """One after the other, on one database and in one memory."""

    def __init__(self, seed: Config, directory: Path) -> None:
        shutil.copytree(seed.database.parent, directory)
        self._config = dataclasses.replace(seed, database=directory / seed.database.name)
        self.notes = Notes()
        self._base = float(int(time.time()))
        self._memory = SharedMemory(LAYOUT)

    def work(self, step: Step = NEVER) -> bool:
        """Whether the first worker was killed before this step."""
        work = partial(killed.work, self._config, self._memory, self.notes, self._base)
        return killed.run(work, step, self.notes)

    def adopt(self, step: Step = NEVER, notes: Notes | None = None) -> bool:
        """The same of the next one."""
        adopt = partial(killed.adopt, self._config, self._memory)
        return killed.run(adopt, step, notes or Notes())

    def rows(self) -> dict[int, Row]:
        """By the numbers of the requests. All of it agrees: rows, sums, metrics, and limits."""
        with closing(open_database(self._config.database)) as db, closing(self._memory):
            ids = [request_id for (request_id,) in schema.run(db, "SELECT id FROM requests")]
            rows = requests.rows(db, ids)
            assert count_left(self._memory) == 0
            _check_sums(db, rows)
            _check_metrics(self._memory, rows)
            _check_limits(self._memory, db)
        first = round(self._base * 1000)
        found = {row.requested_at_ms - first: row for row in rows}
        assert len(found) == len(rows)
        return found


def _check_sums(db: apsw.Connection, rows: Collection[Row]) -> None:
    summed = schema.run(db, "SELECT sum(requests), sum(cost_nanousd) FROM daily")
    expected = (len(rows), sum(row.cost_nanousd for row in rows)) if rows else (None, None)
    assert summed == [expected]
    results = [row for row in rows if BATCH in row.endpoint and row.usage.input_tokens]
    assert resources.counted_results(db, BATCH) == len(results)
    assert {row.api_key_id for row in results} <= {LIMITED}


def _check_metrics(memory: SharedMemory, rows: Collection[Row]) -> None:
    with closing(SharedMemory.of(REGION)) as other:
        expected = MetricCounters(other)
        expected.count(list(rows))
        assert _numbers(MetricCounters(memory).read()) == _numbers(expected.read())


def _numbers(
    counted: Iterable[tuple[CounterLabels, CounterValues]],
) -> dict[CounterLabels, list[int]]:
    """Without the models' names, of which a record has none until one was charged for."""
    found: dict[CounterLabels, list[int]] = {}
    for labels, values in counted:
        numbers = [values.requests, values.failovers, *values.sums.values()]
        numbers += [*values.ttfb, *values.duration]
        labels = labels._replace(model="")
        before = found.get(labels, [0] * len(numbers))
        found[labels] = [sum(pair) for pair in zip(before, numbers, strict=True)]
    return {labels: numbers for labels, numbers in found.items() if any(numbers)}


def _check_limits(memory: SharedMemory, db: apsw.Connection) -> None:
    """Nothing is held for anybody, and a token has spent what the database says."""
    with closing(LimitCounters(memory)) as counters:
        for number in (LIMITED, -LIMITED):
            if (slot := counters.find(number)) is not None:
                counters.forget_dead(slot)
                held = [counters.running(slot), counters.held(slot), counters.tokens_held(slot)]
                assert [*held, counters.unwritten(slot)] == [0, 0, 0, 0]
        now = time.time()
        spent = token_spending.spent(db, now).get(LIMITED, (0, 0))
        assert SpentByTokens(memory, counters).get(LIMITED, now) == spent


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = killed.prepare(tmp_path_factory.mktemp("killed") / "airoxy.db")
    assert config.pricing  # read once
    return config


@pytest.fixture(scope="module")
def usual(seed: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Row]:
    """The rows where nobody is killed."""
    workers = Workers(seed, tmp_path_factory.mktemp("usual") / "database")
    assert not workers.work()
    rows = workers.rows()
    assert len(rows) == killed.REQUESTS
    return {number: _plain(row) for number, row in rows.items()}


def _plain(row: Row) -> Row:
    """Without what is another each time."""
    request_id = (row.request_id or "").replace("req_airoxy_", "ours ")[:11]
    return row._replace(requested_at_ms=0, ttfb_ms=0, duration_ms=0, request_id=request_id[:5])


def check(rows: dict[int, Row], seen: Collection[int], usual: dict[int, Row]) -> None:
    """Each request that was sent has its row; what it has to say depends on how far it came."""
    assert {number for number, come_to in enumerate(seen) if come_to} <= rows.keys()
    for number, row in rows.items():
        if seen[number] == ENDED:
            assert _plain(row) == usual[number]
        elif row.ending == "worker_killed":
            assert row.token_id in (PLAIN, LIMITED)
            assert row.attempts == 1 + (number == 2 and row.token_id == LIMITED)
        else:
            assert row.ending == usual[number].ending
        if seen[number] == BEGUN:
            assert row.usage.input_tokens == usual[number].usage.input_tokens


def steps_of(thread: str, count: int) -> list[Step]:
    """Those before which it is killed: in each part of them one, or all."""
    kills = KILLS // len(THREADS)
    if kills >= count:
        return [Step(thread, number) for number in range(count)]
    chosen = (random.uniform(each, each + 1) * count / kills for each in range(kills))
    return [Step(thread, int(number)) for number in chosen]


@pytest.mark.parametrize("thread", THREADS)
def test_wherever_a_worker_is_killed_all_is_counted_once(
    thread: str, seed: Config, usual: dict[int, Row], tmp_path: Path
) -> None:
    whole = Workers(seed, tmp_path / "whole")
    assert not whole.work(Step(thread, -1))
    whole.rows()
    for step in steps_of(thread, whole.notes.steps):
        workers = Workers(seed, tmp_path / str(step.number))
        workers.work(step)
        assert not workers.adopt()
        print("Killed at", step, workers.notes.line)
        check(workers.rows(), workers.notes.seen, usual)
        shutil.rmtree(tmp_path / str(step.number))


@pytest.mark.parametrize("thread", THREADS)
def test_wherever_the_one_is_killed_that_adopts_its_requests_all_is_counted_once(
    thread: str, seed: Config, usual: dict[int, Row], tmp_path: Path
) -> None:
    """The first one is killed anywhere in what its writer does."""
    whole = Workers(seed, tmp_path / "whole")
    whole.work(Step("writer", 0))
    notes = Notes()
    assert not whole.adopt(Step(thread, -1), notes)
    whole.rows()
    first = Workers(seed, tmp_path / "first")
    assert not first.work(Step("writer", -1))
    first.rows()
    for step in steps_of(thread, notes.steps):
        workers, notes = Workers(seed, tmp_path / str(step.number)), Notes()
        workers.work(Step("writer", random.randrange(first.notes.steps)))
        workers.adopt(step, notes)
        workers.adopt(step)  # and the one after it
        assert not workers.adopt()
        print("Killed at", workers.notes.line, "and", step, notes.line)
        check(workers.rows(), workers.notes.seen, usual)
        shutil.rmtree(tmp_path / str(step.number))
