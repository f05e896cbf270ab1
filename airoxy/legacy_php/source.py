"""The database of the older PHP installation, read in airoxy's terms.

Invariant: nothing is written there. Times that name no zone are UTC, and dollars become
nano-dollars in decimal, not in binary.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import apsw

from airoxy.errors import StoreError
from airoxy.store.file.access import explain
from airoxy.store.schema import run

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


class Sums(NamedTuple):
    """What requests add up to."""

    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost_nanousd: int = 0

    def plus(self, other: Sums) -> Sums:
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))

    def beyond(self, other: Sums) -> Sums:
        """What of each there is more than in `other`."""
        return Sums(*(max(0, a - b) for a, b in zip(self, other, strict=True)))

    def at_least(self, other: Sums) -> Sums:
        return Sums(*map(max, self, other))


#: Client key and token there, and the model.
Group = tuple["int | None", "int | None", str]
#: The sums of one day.
Day = dict[Group, Sums]
#: Neither key nor token nor model is known.
WHOLE_DAY: Group = (None, None, "")


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


def old_days(db: apsw.Connection) -> dict[int, Day]:
    """The sums of each day (since 1970). The statistics are sums of the same requests as the log,
    of which only the last days are kept: whichever has more requests of a day is believed, and what
    the day's total has beyond that is added."""
    logged, counted, totals = _log(db), *_statistics(db)
    days: dict[int, Day] = {}
    for day in sorted({*logged, *counted, *totals}):
        groups = max(logged[day], counted[day], key=lambda groups: _total(groups).requests)
        rest = totals[day].beyond(_total(groups))
        if rest.requests:
            groups[WHOLE_DAY] = groups[WHOLE_DAY].plus(rest)
        days[day] = groups
    return days


def _total(groups: Day) -> Sums:
    total = Sums()
    for sums in groups.values():
        total = total.plus(sums)
    return total


def _empty_days() -> dict[int, Day]:
    return defaultdict(lambda: defaultdict(Sums))


def _log(db: apsw.Connection) -> dict[int, Day]:
    """The sums of the log's requests; those without a time are left out."""
    days = _empty_days()
    for at, key, token, model, status, *counts, dollars in _select(
        db, "request_logs", "requested_at", "api_key_id", "access_token_id", "model", "status_code",
        "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        "estimated_cost_usd",
    ):  # fmt: skip
        if (moment := _moment(at)) is not None:
            failed = int(not 0 < _whole(status) < 400)
            sums = Sums._make((1, failed, *map(_whole, counts), nanodollars(dollars)))
            groups, group = days[int(moment // 86400)], (key, token, _text(model))
            groups[group] = groups[group].plus(sums)
    return days


def _statistics(db: apsw.Connection) -> tuple[dict[int, Day], dict[int, Sums]]:
    """The daily statistics, and those of days as a whole. A row that is there twice was computed
    twice, because unique keys let NULLs pass: the larger one counts."""
    days, totals = _empty_days(), defaultdict[int, Sums](Sums)
    for date, token, model, *counts, dollars in _select(
        db, "daily_stats", "date", "access_token_id", "model", "total_requests", "failed_requests",
        "total_input_tokens", "total_output_tokens", "total_cache_creation_tokens",
        "total_cache_read_tokens", "total_estimated_cost_usd",
    ):  # fmt: skip
        if (moment := _moment(date)) is None:
            continue
        day, sums = int(moment // 86400), Sums._make((*map(_whole, counts), nanodollars(dollars)))
        if token is None and model is None:
            totals[day] = totals[day].at_least(sums)
        else:
            group: Group = (None, token, _text(model))
            days[day][group] = days[day][group].at_least(sums)
    return days, totals


def nanodollars(dollars: object) -> int:
    """0 for what is no amount."""
    try:
        return round(Decimal(str(dollars)) * 10**9)
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _select(db: apsw.Connection, table: str, *names: str) -> Iterable[tuple[Any, ...]]:
    """Columns, NULL for one that this version of the program did not have yet; no rows for a table
    that it did not have."""
    there = _columns(db, table)
    if not there:
        return ()
    columns = (f'"{name}"' if name in there else f"NULL AS {name}" for name in names)
    return db.cursor().execute(f"SELECT {', '.join(columns)} FROM {table}")


def _columns(db: apsw.Connection, table: str) -> set[str]:
    return {name for (name,) in run(db, "SELECT name FROM pragma_table_info(?)", (table,))}


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
