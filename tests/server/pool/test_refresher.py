"""The refresh for requests, where something is wrong with the database or the machine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import apsw

from airoxy.config import make_config
from airoxy.core.pool import Token
from airoxy.errors import StoreError
from airoxy.server.pool.refresher import Refresher
from airoxy.store.schema import open_database
from tests.store.seed import add_login


def test_a_database_that_takes_nothing_fails_the_refresh_and_no_request(db, tmp_path, caplog):
    def connect() -> apsw.Connection:
        connection = open_database(tmp_path / "airoxy.db")
        connection.execute("PRAGMA query_only = 1")
        return connection

    token_id = add_login(db, "pair", int(time.time()) - 1)
    token = Token(token_id, "pair", "oauth", "sk-ant-oat-test-pair", 1, 0)
    refresher = Refresher(make_config().oauth, connect)
    assert not asyncio.run(refresher.refresh(token))
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"Token {token_id} (pair): cannot be refreshed: ")
    assert str(Path(db.filename)) in said


def test_a_database_that_cannot_be_opened_fails_the_refresh_and_no_request(caplog):
    def connect() -> apsw.Connection:
        raise StoreError("/nowhere/airoxy.db cannot be opened")

    token = Token(7, "pair", "oauth", "sk-ant-oat-test-pair", 1, 0)
    refresher = Refresher(make_config().oauth, connect)
    assert not asyncio.run(refresher.refresh(token))
    [said] = [record.getMessage() for record in caplog.records]
    assert said == "Token 7 (pair): cannot be refreshed: /nowhere/airoxy.db cannot be opened"
