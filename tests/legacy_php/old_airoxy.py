"""An older PHP installation: its .env and its SQLite database, as Laravel leaves them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

SCHEMA = """
CREATE TABLE api_keys (id integer primary key autoincrement not null, name varchar not null,
    key varchar not null, is_active tinyint(1) not null default '1', created_at datetime);
CREATE TABLE access_tokens (id integer primary key autoincrement not null, name varchar not null,
    type varchar not null, token text not null, refresh_token text, token_expires_at datetime,
    is_active tinyint(1) not null default '1', last_used_at datetime,
    refresh_fail_count integer not null default '0', usage_order integer not null default '0');
CREATE TABLE request_logs (id integer primary key autoincrement not null, access_token_id integer,
    api_key_id integer, model varchar, endpoint varchar not null, is_stream tinyint(1) not null,
    input_tokens integer, output_tokens integer, cache_creation_input_tokens integer,
    cache_read_input_tokens integer, estimated_cost_usd numeric, status_code integer,
    error_message text, duration_ms integer, requested_at datetime not null);
CREATE TABLE daily_stats (id integer primary key autoincrement not null, date date not null,
    access_token_id integer, model varchar, total_requests integer, successful_requests integer,
    failed_requests integer, total_input_tokens integer, total_output_tokens integer,
    total_cache_creation_tokens integer, total_cache_read_tokens integer,
    total_estimated_cost_usd numeric, unique (date, access_token_id, model));
"""

KEY = "ak-" + "Old" * 13 + "1"


class OldAiroxy:
    """One in `directory`; every row can be made up from what a test is about."""

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.path = directory / "database" / "database.sqlite"
        self.path.parent.mkdir(parents=True)
        lines = [f"{name}={value}" for name, value in (environ or {}).items()]
        (directory / ".env").write_text("\n".join(["APP_NAME=airoxy", *lines, ""]))
        with closing(sqlite3.connect(self.path)) as db:
            db.executescript(SCHEMA)

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute(statement, values)

    def insert(self, table: str, **row: object) -> Self:
        marks = ", ".join("?" * len(row))
        self.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
        return self

    def key(self, name: str = "alice", key: str = KEY, *, is_active: int = 1) -> Self:
        return self.insert("api_keys", name=name, key=key, is_active=is_active)

    def token(self, name: str = "console", token: str = "sk-ant-api-old-one", **row: Any) -> Self:
        kind = "oauth" if token.startswith("sk-ant-oat") else "api_key"
        return self.insert("access_tokens", **{"name": name, "type": kind, "token": token} | row)

    def oauth(self, name: str = "login", suffix: str = "one", **row: Any) -> Self:
        given = {
            "refresh_token": f"sk-ant-ort-old-{suffix}",
            "token_expires_at": "2026-11-22 18:00:00",
        }
        return self.token(name, f"sk-ant-oat-old-{suffix}", **given | row)

    def request(self, at: str = "2026-11-22 10:00:00", **row: Any) -> Self:
        given = {
            "access_token_id": 1, "api_key_id": 1, "model": "claude-opus-5-5",
            "endpoint": "/v1/messages", "is_stream": 1, "input_tokens": 10, "output_tokens": 20,
            "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40,
            "estimated_cost_usd": 0.001234, "status_code": 200, "error_message": None,
            "duration_ms": 4000, "requested_at": at,
        }  # fmt: skip
        return self.insert("request_logs", **given | row)

    def day(self, date: str = "2026-11-22", requests: int = 1, **row: Any) -> Self:
        """The statistics of so many requests as `request` makes them."""
        given = {
            "date": date, "access_token_id": 1, "model": "claude-opus-5-5",
            "total_requests": requests, "successful_requests": requests, "failed_requests": 0,
            "total_input_tokens": 10 * requests, "total_output_tokens": 20 * requests,
            "total_cache_creation_tokens": 30 * requests,
            "total_cache_read_tokens": 40 * requests,
            "total_estimated_cost_usd": 0.001234 * requests,
        }  # fmt: skip
        return self.insert("daily_stats", **given | row)

    def total(self, date: str = "2026-11-22", requests: int = 1, **row: Any) -> Self:
        """The statistics of the day as a whole."""
        return self.day(date, requests, **{"access_token_id": None, "model": None} | row)
