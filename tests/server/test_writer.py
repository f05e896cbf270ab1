"""The writer thread against a real database that is locked, full, or asked for the impossible."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.core.billing.usage import Usage
from airoxy.core.pool import Scope
from airoxy.server.metrics.counters import REGION, MetricCounters
from airoxy.server.shared_memory import SharedMemory
from airoxy.server.unwritten import Slot
from airoxy.server.writer import Writer
from airoxy.store import keys, tokens
from airoxy.store.schema import open_database
from airoxy.store.usage import requests
from airoxy.store.usage.requests import Row
from tests.databases import open_new


def row(number: int = 0, key_id: int = 1) -> Row:
    return Row(
        1795348800000 + number, key_id, None, "/v1/messages", "claude-opus-5-5", False,
        Usage("claude-opus-5-5", 1, 2, 3, 4, 5), 6, 200, None, "complete", 1, 1, 2, f"req_{number}",
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    db = open_new(tmp_path / "airoxy.db")
    keys.add_key(db, "laptop", "ak-test", 0)
    db.close()
    return tmp_path / "airoxy.db"


def connect(path: Path) -> apsw.Connection:
    db = open_database(path)
    db.setbusytimeout(20)
    return db


def count(path: Path) -> int:
    db = open_database(path, readonly=True)
    try:
        return next(iter(db.cursor().execute("SELECT count(*) FROM requests")))[0]
    finally:
        db.close()


def keys_in(path: Path) -> list[dict]:
    db = open_database(path, readonly=True)
    try:
        return keys.list_keys(db)
    finally:
        db.close()


def test_what_was_handed_over_is_written_when_the_writer_closes(path):
    writer = Writer(connect(path))
    for number in range(1200):
        writer.row(row(number))
    writer.close()
    assert writer.backlog == 0
    assert count(path) == 1200


def test_an_operation_and_the_last_use_are_written_with_the_rows(path):
    db = open_database(path)
    token = tokens.add_token(
        db, name="one", type="api_key", token="sk-ant-api-test-one",
        refresh_token=None, expires_at=None, now=0,
    )  # fmt: skip
    writer = Writer(connect(path))
    writer.used(token, 5_000)
    writer.used(token, 7_000)
    writer.do(
        lambda db: tokens.cool(
            db, token, Scope("messages", "claude-opus-4"), 2e9, "rate limited", 6_000
        )
    )
    writer.close()
    listed = tokens.list_tokens(db, 0)[0]
    assert listed["last_used_at"] == 7_000
    assert listed["coolings"][0]["reason"] == "rate limited"
    db.close()


def test_who_is_told_that_it_is_committed_finds_it_there(path):
    seen = []
    writer = Writer(connect(path))
    writer.do(
        lambda db: keys.add_key(db, "desk", "ak-other", 0),
        committed=lambda: seen.append(len(keys_in(path))),
    )
    writer.close()
    assert seen == [2]


@pytest.mark.parametrize(
    ("rows", "operation_at", "waits"),
    [(1, 0, 1), (10, 0, 4), (40, 0, 4), (100, 0, 2), (200, 0, 1), (10, 1, 1), (10, 3, 3)],
)
def test_rows_wait_for_more_while_many_come_and_operations_do_not(path, rows, operation_at, waits):
    slept = 0
    before_commit: list[int] = []
    is_committed = threading.Event()

    def sleep(_: float) -> None:
        """So many rows come meanwhile, and once an operation."""
        nonlocal slept
        slept += 1
        if before_commit:
            return
        for _ in range(rows - (slept == 1)):
            writer.row(row())
        if slept == operation_at:
            writer.do(lambda _: None)

    writer = Writer(connect(path), sleep=sleep)
    writer.row(row(), committed=lambda: (before_commit.append(slept), is_committed.set()))
    assert is_committed.wait(60)
    writer.close()
    assert before_commit == [waits]


def test_a_locked_database_delays_the_rows_and_loses_none(path, caplog):
    locker = open_database(path)
    locker.cursor().execute("BEGIN IMMEDIATE")
    writer = Writer(connect(path))
    for number in range(10):
        writer.row(row(number))
    while writer.trouble is None:
        threading.Event().wait(0.01)
    assert writer.backlog == 10
    locker.cursor().execute("COMMIT")
    writer.close()
    assert count(path) == 10
    assert writer.trouble is None
    said = caplog.text
    assert "cannot be written" in said
    assert "can be written again" in said
    locker.close()


def test_above_the_limit_rows_are_dropped_counted_and_told(path, caplog):
    locker = open_database(path)
    locker.cursor().execute("BEGIN IMMEDIATE")
    writer = Writer(connect(path), limit=5)
    for number in range(8):
        writer.row(row(number))
    while writer.trouble is None:
        threading.Event().wait(0.01)
    locker.cursor().execute("COMMIT")
    locker.close()
    writer.close()
    assert (writer.dropped, count(path)) == (3, 5)
    assert "3 log rows were dropped" in caplog.text


def test_an_impossible_operation_costs_itself_and_nothing_else(path, caplog):
    def impossible(db: apsw.Connection) -> None:
        db.cursor().execute("INSERT INTO nowhere VALUES (1)")

    writer = Writer(connect(path))
    for number in range(3):
        writer.row(row(number))
    writer.do(impossible)
    for number in range(3, 6):
        writer.row(row(number))
    writer.close()
    assert count(path) == 6
    assert "left out" in caplog.text


def test_at_the_end_a_database_that_stays_locked_is_given_up_after_a_while(
    path, caplog, monkeypatch
):
    monkeypatch.setattr("airoxy.server.writer.LAST_TRIES", 0.1)
    locker = open_database(path)
    locker.cursor().execute("BEGIN IMMEDIATE")
    writer = Writer(connect(path))
    writer.row(row())
    writer.close()
    assert "1 log rows are lost" in caplog.text
    locker.close()


# What is counted for /metrics


def counted(metric_counters: MetricCounters) -> int:
    return sum(counts.requests for _, counts in metric_counters.read())


@pytest.fixture
def metric_counters():
    with closing(SharedMemory.of(REGION)) as memory:
        yield MetricCounters(memory)


def test_rows_are_counted_once_even_while_the_database_refuses_them(path, metric_counters, caplog):
    locker = open_database(path)
    locker.cursor().execute("BEGIN IMMEDIATE")
    writer = Writer(connect(path), count=metric_counters.count)
    for number in range(10):
        writer.row(row(number))
    while counted(metric_counters) < 10:
        threading.Event().wait(0.01)
    assert writer.backlog == 10
    locker.cursor().execute("COMMIT")
    writer.close()
    assert (count(path), counted(metric_counters)) == (10, 10)
    locker.close()


def test_the_row_that_an_operation_has_written_is_counted_when_it_is_committed(
    path, metric_counters
):
    def write(db: apsw.Connection) -> Row:
        requests.append(db, [row()])
        return row()._replace(cost_nanousd=0)

    writer = Writer(connect(path), count=metric_counters.count)
    writer.do(write)
    writer.close()
    ((_, counts),) = [each for each in metric_counters.read() if each[1].requests]
    assert (counts.requests, counts.sums["cost_nanousd"]) == (1, 0)


def test_a_row_that_comes_while_others_are_counted_is_not_committed_before_it_is_counted(path):
    counted: list[Row] = []
    late_was_counted: list[bool] = []
    late = row(2)

    def count_rows(rows: Sequence[Row], dropped: int, slots: Sequence[Slot | None]) -> None:
        if not counted:
            writer.row(late, committed=lambda: late_was_counted.append(late in counted))
        counted.extend(rows)

    writer = Writer(connect(path), count=count_rows)
    writer.row(row(1))
    writer.close()
    assert late_was_counted == [True]
    assert counted == [row(1), late]


def test_dropped_rows_are_counted(path, metric_counters, caplog):
    locker = open_database(path)
    locker.cursor().execute("BEGIN IMMEDIATE")
    writer = Writer(connect(path), limit=5, count=metric_counters.count)
    for number in range(8):
        writer.row(row(number))
    while metric_counters.dropped < 3:
        threading.Event().wait(0.01)
    locker.cursor().execute("COMMIT")
    locker.close()
    writer.close()
    assert (metric_counters.dropped, counted(metric_counters), count(path)) == (3, 5, 5)


def test_a_row_that_cannot_be_counted_is_written_all_the_same(path, metric_counters, caplog):
    writer = Writer(connect(path), count=metric_counters.count)
    metric_counters.count([row()._replace(usage=Usage(input_tokens=2**63 - 1))])
    writer.row(row())
    writer.close()
    assert count(path) == 1
    assert "Traceback" in caplog.text
