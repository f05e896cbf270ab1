"""Whose a new thing is, noted before its client hears of it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from airoxy.server.proxy.affinity import count_adopted, count_once, remember_id
from airoxy.server.proxy.request_log import ResultsSeen
from airoxy.server.writer import Writer
from airoxy.store import keys
from airoxy.store.fleet import membership
from airoxy.store.resources import find_resources
from airoxy.store.schema import open_database, run, transaction
from airoxy.store.usage import requests
from tests.databases import open_new
from tests.store.seed import add_login, row

MADE = "file_000001"


def remembered(db: apsw.Connection, path: Path, *, lasts: float | None) -> bool:
    """Whether it is noted when the answer goes on, where the database is locked for so long; None
    is until then."""
    key_id, token_id = keys.add_key(db, "laptop", "ak-test", 0), add_login(db, "pair", 0)
    with closing(open_database(path)) as locker:
        connection = open_database(path)
        connection.setbusytimeout(20_000 if lasts else 20)
        writer = Writer(connection)
        run(locker, "BEGIN IMMEDIATE")

        async def remember() -> bool:
            if lasts:
                asyncio.get_running_loop().call_later(lasts, run, locker, "COMMIT")
            await remember_id(MADE, token_id, key_id, writer)
            return bool(find_resources(db, [MADE]))

        try:
            return asyncio.run(remember())
        finally:
            if not lasts:
                run(locker, "COMMIT")
            writer.close()


def test_an_answer_waits_for_a_database_that_is_slow(db: apsw.Connection, tmp_path: Path) -> None:
    assert remembered(db, tmp_path / "airoxy.db", lasts=1.5)


def test_an_answer_does_not_wait_long_where_nothing_can_be_written(
    db: apsw.Connection, tmp_path: Path
) -> None:
    assert not remembered(db, tmp_path / "airoxy.db", lasts=None)
    assert find_resources(db, [MADE])


@pytest.mark.parametrize("in_fleet", [False, True])
@pytest.mark.parametrize("was_counted", [False, True])
def test_results_that_a_killed_worker_has_written_are_written_once(
    tmp_path: Path, in_fleet: bool, was_counted: bool
) -> None:
    """What they used is in the metrics from then on, or when the fleet has decided."""
    fetched, batch = row(is_stream=False), ResultsSeen("msgbatch_1", 0, 4)
    with closing(open_new(tmp_path / "airoxy.db")) as db:
        run(db, "PRAGMA foreign_keys = OFF")
        if in_fleet:
            membership.enter(db, host="a", name="a", url="", nonce="n", now=0)
        with transaction(db):
            if was_counted:
                count_once(db, fetched, batch)
            written = count_once(db, fetched, batch)
        row_id = db.last_insert_rowid()
        with transaction(db):
            requests.append(db, [row()])  # another one
            found = count_adopted(db, fetched, batch, row_id)
        assert db.last_insert_rowid() == row_id
        assert (found is None) == (written is None) == (in_fleet and not was_counted)
        if found and written:
            assert requests.values(found) == requests.values(written)
        assert requests.last_id(db) == row_id + 1
