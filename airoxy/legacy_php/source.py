"""The database of the PHP installation that this package supersedes, read in airoxy's terms.

The law: nothing is written there. Times that name no zone are UTC, and dollars become nano-dollars
in decimal, not in binary.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import apsw

from airoxy.calendar import DAY_SECONDS
from airoxy.errors import StoreError
from airoxy.store.schema import explain, run

_WAL_FORMAT = 2
#: A number above this is no count of seconds: it would be in the year 5138.
_MILLISECONDS = 1e11


@dataclass(frozen=True)
class OldKey:
    """A client key; `key` is what stands there, in plain text or not."""

    id: int
    name: str
    key: str = field(repr=False)
    is_active: bool


@dataclass(frozen=True)
class OldToken:
    """A token; times are Unix seconds."""

    id: int
    name: str
    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: int | None
    is_active: bool
    last_used_at: float | None
    failures: int


class Counts(NamedTuple):
    """What requests add up to."""

    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost_nanousd: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def beyond(self, other: Counts) -> Counts:
        """What of each there is more than in `other`."""
        return Counts(*(max(0, a - b) for a, b in zip(self, other, strict=True)))

    def at_least(self, other: Counts) -> Counts:
        return Counts(*map(max, self, other))


class OldRequest(NamedTuple):
    """A row of the log; `row` rises from row to row."""

    row: int
    requested_at_ms: int
    api_key_id: int | None
    token_id: int | None
    endpoint: str
    model: str | None
    is_stream: bool
    status_code: int
    error_message: str | None
    duration_ms: int
    counts: Counts


class OldDay(NamedTuple):
    """A row of the daily statistics; with neither token nor model it is the whole day's."""

    day: int
    token_id: int | None
    model: str | None
    counts: Counts


def open_php(path: Path) -> apsw.Connection:
    """One moment of the database at `path`. Raises StoreError for what is none of that program."""
    try:
        db = apsw.Connection(
            f"file:{quote(os.fspath(path.absolute()))}?{_mode(path)}",
            apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
        try:
            run(db, "PRAGMA temp_store = MEMORY")
            run(db, "BEGIN")
            if not _columns(db, "access_tokens") or not _columns(db, "api_keys"):
                raise StoreError(f"{path} is not the database of a PHP airoxy.")
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise explain(path, error) from error
    return db


def _mode(path: Path) -> str:
    """A database in WAL mode that nobody has open is read without making the files beside it."""
    try:
        with path.open("rb") as file:
            wal = file.read(20)[18:20] == bytes((_WAL_FORMAT, _WAL_FORMAT))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; use sudo.") from error
    alone = not path.with_name(f"{path.name}-wal").exists()
    return "mode=ro&immutable=1" if wal and alone else "mode=ro"


def old_keys(db: apsw.Connection) -> list[OldKey]:
    """Every client key."""
    rows = _select(db, "api_keys", "id", "name", "key", "is_active")
    return [OldKey(i, _text(name), _text(key), _true(active)) for i, name, key, active in rows]


def old_tokens(db: apsw.Connection) -> list[OldToken]:
    """Every token."""
    rows = _select(
        db, "access_tokens", "id", "name", "token", "refresh_token", "token_expires_at",
        "is_active", "last_used_at", "refresh_fail_count",
    )  # fmt: skip
    return [
        OldToken(
            number,
            _text(name),
            _text(token),
            _text(refresh) or None,
            int(expires) if (expires := _moment(expiry)) is not None else None,
            _true(active),
            _moment(used),
            _whole(failures),
        )
        for number, name, token, refresh, expiry, active, used, failures in rows
    ]


def old_requests(db: apsw.Connection, after: int) -> Iterator[OldRequest | None]:
    """The rows of the log after row `after`, in their order; None for one that has no time."""
    for row, at, key, token, endpoint, model, stream, status, error, took, *counted in _select(
        db, "request_logs", "rowid", "requested_at", "api_key_id", "access_token_id", "endpoint",
        "model", "is_stream", "status_code", "error_message", "duration_ms", "input_tokens",
        "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        "estimated_cost_usd", where=f"WHERE rowid > {after:d} ORDER BY rowid",
    ):  # fmt: skip
        moment = _moment(at)
        if moment is None:
            yield None
            continue
        code, (*tokens, dollars) = _whole(status), counted
        failed = int(code >= 400 or code == 0)
        yield OldRequest(
            row,
            round(moment * 1000),
            key,
            token,
            "/" + _text(endpoint).lstrip("/"),
            _text(model) or None,
            _true(stream),
            code,
            _text(error) or None,
            _whole(took),
            Counts._make((1, failed, *map(_whole, tokens), nanodollars(dollars))),
        )


def old_days(db: apsw.Connection) -> Iterator[OldDay]:
    """The daily statistics."""
    for date, token, model, *counted, dollars in _select(
        db, "daily_stats", "date", "access_token_id", "model", "total_requests", "failed_requests",
        "total_input_tokens", "total_output_tokens", "total_cache_creation_tokens",
        "total_cache_read_tokens", "total_estimated_cost_usd",
    ):  # fmt: skip
        moment = _moment(date)
        if moment is not None:
            counts = Counts._make((*map(_whole, counted), nanodollars(dollars)))
            yield OldDay(int(moment // DAY_SECONDS), token, _text(model) or None, counts)


def nanodollars(dollars: object) -> int:
    """0 for what is no amount."""
    try:
        return round(Decimal(str(dollars)) * 10**9)
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _select(
    db: apsw.Connection, table: str, *names: str, where: str = ""
) -> Iterable[tuple[Any, ...]]:
    """Columns, NULL for one that this version of the program did not have yet; no rows for a table
    that it did not have."""
    there = _columns(db, table)
    if not there:
        return ()
    columns = (f'"{name}"' if name in there else f"NULL AS {name}" for name in names)
    return db.cursor().execute(f"SELECT {', '.join(columns)} FROM {table} {where}")


def _columns(db: apsw.Connection, table: str) -> set[str]:
    found = {name for (name,) in run(db, "SELECT name FROM pragma_table_info(?)", (table,))}
    return found | {"rowid"} if found else found


def _moment(value: object) -> float | None:
    """Unix time of "2026-11-20 10:11:12", with or without a fraction, a T and a zone, or of a
    number of seconds or milliseconds; None if there is none."""
    if isinstance(value, int | float):
        return value / 1000 if value > _MILLISECONDS else float(value)
    try:
        moment = datetime.datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return "" if value is None else str(value).strip()


def _whole(value: object) -> int:
    try:
        return int(Decimal(_text(value)))
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _true(value: object) -> bool:
    return _text(value).lower() not in ("", "0", "false")
