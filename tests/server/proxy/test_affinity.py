"""Whose a new thing is, noted before its client hears of it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import apsw

from airoxy.server.proxy.affinity import remember_id
from airoxy.server.writer import Writer
from airoxy.store import keys
from airoxy.store.resources import find_resources
from airoxy.store.schema import open_database, run
from tests.store.seed import add_login

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
