"""Keys, tokens and rows of the usage log, made up from what a test is about."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import apsw

from airoxy.core.billing.usage import COUNTED, Usage
from airoxy.store import keys, schema, tokens
from airoxy.store.usage import requests
from airoxy.store.usage.requests import Row

#: The day of the tests' clock.
TODAY = datetime.date(2026, 11, 22)


def days_ago(days: int) -> datetime.date:
    return TODAY - datetime.timedelta(days)


def row(day: datetime.date = TODAY, time: str = "12:00:00", **changes: Any) -> Row:
    """A successful request; `changes` are of its fields, or of its usage."""
    at = datetime.datetime.fromisoformat(f"{day}T{time}+00:00")
    plain = Row(
        requested_at_ms=round(at.timestamp() * 1000),
        api_key_id=1,
        token_id=1,
        endpoint="/v1/messages",
        model="claude-opus-5-5",
        is_stream=True,
        usage=Usage("claude-opus-5-5", 10, 20, 30, 40, 50, 1),
        cost_nanousd=1_000_000,
        status_code=200,
        error_message=None,
        ending="complete",
        attempts=1,
        ttfb_ms=300,
        duration_ms=4000,
        request_id="req_test",
    )
    counts = {name: changes.pop(name) for name in COUNTED if name in changes}
    return plain._replace(usage=dataclasses.replace(plain.usage, **counts))._replace(**changes)


def append(db: apsw.Connection, *rows: Row) -> None:
    with schema.transaction(db):
        requests.append(db, rows)


def replace(database: Path, other: Path) -> None:
    """Put another database in its place, as a backup that is restored: without the log beside."""
    for suffix in ("-wal", "-shm"):
        database.with_name(f"{database.name}{suffix}").rename(f"{other}.old{suffix}")
    other.rename(database)


def add_key(db: apsw.Connection, name: str) -> int:
    return keys.add_key(db, name, f"ak-test-{name}", 0)


def add_token(db: apsw.Connection, name: str, **changes: Any) -> int:
    given = {
        "name": name,
        "type": "api_key",
        "token": f"sk-ant-api-test-{name}",
        "refresh_token": None,
        "expires_at": None,
        "now": 0,
    }
    return tokens.add_token(db, **given | changes)


def add_login(db: apsw.Connection, name: str, expires_at: int = 100) -> int:
    """An OAuth token."""
    return add_token(
        db,
        name,
        type="oauth",
        token=f"sk-ant-oat-test-{name}",
        refresh_token=f"sk-ant-ort-test-{name}",
        expires_at=expires_at,
    )


def active_digests(db: apsw.Connection) -> dict[bytes, int]:
    """The ids of the keys that are let in, by digest."""
    return {key.digest: key.id for key in keys.keys_in_force(db)}
