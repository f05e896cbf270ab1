"""The usage log in detail: a row for each request, kept for some days.

Invariant: rows are only added and, when they are old, deleted; of what they say, only the cost may
change (`store.usage.costs`), and the counts of a batch's results that another host of a fleet has
counted be taken back (`store.fleet.claims`). The sums of `store.usage.daily` follow by themselves
(see `store.migrations`).
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from itertools import chain, count
from operator import itemgetter
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import start_ms
from airoxy.core.billing.usage import COUNTED, Usage, counts_of
from airoxy.store.schema import run
from airoxy.store.usage.blocks import each_block
from airoxy.store.usage.daily import TOTALS, conditions, totals, totals_by
from airoxy.store.usage.filter import ENDED_BADLY, FAILED, Filter
from airoxy.store.usage.first_tables import BLOCK

__all__ = [
    "ENDED_BADLY",
    "FAILED",
    "FIELDS",
    "Filter",
    "Row",
    "append",
    "delete_slice",
    "failures",
    "last_id",
    "newest",
    "totals",
    "totals_by",
    "without_counts",
]


class Row(NamedTuple):
    """What one request leaves."""

    requested_at_ms: int
    api_key_id: int
    token_id: int | None
    endpoint: str
    model: str | None
    is_stream: bool
    usage: Usage
    cost_nanousd: int
    status_code: int
    error_message: str | None
    ending: str
    attempts: int
    ttfb_ms: int | None
    duration_ms: int
    request_id: str | None
    #: What the cost was computed from, as `airoxy.core.billing.cost_inputs` keeps it.
    cost_inputs: str | None = None
    #: The counts are airoxy's estimate, because the answer broke off before its own.
    is_estimate: bool = False
    #: What it used costs money and cannot be counted here.
    uncounted: bool = False
    #: The conversation has changed its account, and what that cost.
    moved: bool = False
    move_cost_nanousd: int = 0
    #: Where the client sits, unless that is not to be kept.
    client_address: str | None = None
    #: The group that the client key was in when the request came.
    group_id: int | None = None


_USAGE = Row._fields.index("usage")
#: Columns that have another name than the row's field.
_COLUMN_NAMES = {"requested_at_ms": "requested_at", "cost_inputs": "basis"}
#: The columns of a row's values.
COLUMNS = tuple(
    _COLUMN_NAMES.get(name, name)
    for name in (*Row._fields[:_USAGE], *COUNTED, *Row._fields[_USAGE + 1 :])
)

#: The fields of a request in JSON: the columns of the view `request_log`.
FIELDS = tuple(
    field
    for name in ("id", *COLUMNS)
    if name != "basis"
    for field in {
        "api_key_id": ("api_key_id", "api_key_name"),
        "token_id": ("token_id", "token_name"),
        "group_id": ("group_id", "group_name"),
    }.get(name, (name,))
)
_TRUTHS = ("is_stream", "is_estimate", "uncounted", "moved")


#: The group of `totals_by_hour`: the Unix time at which it begins.
HOUR = "hour"
#: What hours of all time zones consist of (seconds).
QUARTER = 900


#: What nearly all rows say, by column, in SQL and as it is in a row. What all rows of an
#: installation may have, as the client's address and a group, is not usual.
_USUAL = {
    "web_search_requests": ("0", 0),
    "status_code": ("200", 200),
    "error_message": ("NULL", None),
    "ending": ("'complete'", "complete"),
    "attempts": ("1", 1),
    "basis": ("NULL", None),
    "is_estimate": ("0", False),
    "uncounted": ("0", False),
    "moved": ("0", False),
    "move_cost_nanousd": ("0", 0),
}
#: Rows of one statement: with eight a quarter less for each than alone, because SQLite looks the
#: last id up, notes it, and makes the trigger ready once for a statement; with 32 a tenth less than
#: with eight. Twice as many bring nothing.
_MANY, _FEW = 32, 8


#: Texts that rows written together often have in common. To bind a text takes 0.45 µs in Debian's
#: apsw 3.40, and a number 0.1.
_TEXTS = ("endpoint", "model", "client_address")

_Values = Callable[[tuple[Any, ...]], tuple[Any, ...]]
#: The columns of a row and its counts, one behind the other.
_NAMED = [_COLUMN_NAMES.get(name, name) for name in (*Row._fields, *COUNTED)]


def _values_of(columns: Iterable[str]) -> _Values:
    return itemgetter(*map(_NAMED.index, columns))


_all_of, _usual_of, _texts_of = map(_values_of, (COLUMNS, _USUAL, _TEXTS))
_USUALLY = tuple(value for _, value in _USUAL.values())


@cache
def _insert(rows: int, usual: bool, same: tuple[str, ...]) -> tuple[str, _Values]:
    """A statement for so many rows, and what it takes of each of them after the values of the
    columns that are the `same` in all of them. What is `usual` is not bound: a tenth of a row."""
    fixed = {name: sql for name, (sql, _) in _USUAL.items()} if usual else {}
    fixed |= {name: f"?{number}" for number, name in enumerate(same, 1)}
    bound = [name for name in COLUMNS if name not in fixed]
    number = count(len(same) + 1)
    values = (
        f"({', '.join(fixed.get(name) or f'?{next(number)}' for name in COLUMNS)})"
        for _ in range(rows)
    )
    into = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES {', '.join(values)}"
    return into, _values_of(bound)


def values(row: Row) -> tuple[Any, ...]:
    """The row's values, in the order of COLUMNS."""
    return _all_of(row + counts_of(row.usage))


def append(db: apsw.Connection, rows: Sequence[Row]) -> None:
    """Write `rows` in the caller's transaction; their ids follow each other."""
    written = [row + counts_of(row.usage) for row in rows]
    execute = db.cursor().execute
    start, end = 0, len(written)
    while start < end:
        left = end - start
        size = _MANY if left >= _MANY else _FEW if left >= _FEW else 1
        together = written[start : start + size]
        usual = [*map(_usual_of, together)].count(_USUALLY) == size
        texts = [*zip(*map(_texts_of, together), strict=True)] if size > 1 else []
        same = [n for n, each in enumerate(texts) if each.count(each[0]) == size]
        statement, values_of = _insert(size, usual, tuple([_TEXTS[n] for n in same]))
        shared = [texts[n][0] for n in same]
        execute(statement, (*shared, *chain.from_iterable(map(values_of, together))))
        start += size


def is_written(db: apsw.Connection, row_id: int, row: Row, *, any_key: bool = False) -> bool:
    """Whether the row of this id is that of the same request. With `any_key` it may have been
    counted for another one, as results of a batch are that another key has made."""
    same = (row.requested_at_ms, row.token_id, row.endpoint, row.request_id)
    return bool(
        run(
            db,
            "SELECT 1 FROM requests WHERE id = ? AND requested_at = ? AND token_id IS ?"
            " AND endpoint = ? AND request_id IS ? AND (api_key_id = ? OR ?)",
            (row_id, *same, row.api_key_id, any_key),
        )
    )


def rows(db: apsw.Connection, ids: Iterable[int]) -> list[Row]:
    """Those of these ids that are there."""
    found = []
    for row_id in ids:
        for values in run(db, f"SELECT {', '.join(COLUMNS)} FROM requests WHERE id = ?", (row_id,)):
            given = dict(zip(COLUMNS, values, strict=True))
            given["usage"] = Usage(given["model"], **{name: given[name] for name in COUNTED})
            found.append(Row._make(given[_COLUMN_NAMES.get(name, name)] for name in Row._fields))
    return found


def without_counts(row: Row) -> Row:
    """The same request, with nothing to pay for."""
    return row._replace(usage=Usage(), cost_nanousd=0, cost_inputs=None, move_cost_nanousd=0)


def newest(
    db: apsw.Connection,
    *,
    limit: int,
    wanted: Filter = Filter(),
    after_id: int | None = None,
    before_id: int | None = None,
    **more: Any,
) -> list[dict[str, Any]]:
    """The newest requests, newest first; with `after_id` those after it, oldest first; with
    `before_id` those before it. Fields of a Filter narrow what is `wanted`."""
    wanted = wanted._replace(**more)
    found: list[dict[str, Any]] = []
    for block in _blocks(db, wanted, after_id, before_id):
        found += _of_block(db, block, wanted, limit - len(found), after_id, before_id)
        if len(found) == limit:
            break
    return found


def search(
    db: apsw.Connection,
    *,
    limit: int,
    wanted: Filter,
    before_id: int | None,
    give_up: Callable[[], bool],
) -> tuple[list[dict[str, Any]], int | None]:
    """The newest requests before `before_id`, and, where it was given up before so many were found,
    the id before which there may be more."""
    found: list[dict[str, Any]] = []
    for block in _blocks(db, wanted, None, before_id):
        found += _of_block(db, block, wanted, limit - len(found), None, before_id)
        if len(found) == limit:
            break
        if block and give_up():
            return found, block * BLOCK
    return found, None


def _blocks(
    db: apsw.Connection, wanted: Filter, after_id: int | None, before_id: int | None
) -> Iterator[int]:
    """The blocks in which there may be such requests, in the order of `newest`. Until they are all
    told, or nobody asks any more, everything is read from one snapshot of the database."""
    start, started = conditions(
        {
            "block >= ?": None if after_id is None else after_id // BLOCK,
            "block <= ?": None if before_id is None else (before_id - 1) // BLOCK,
        }
    )
    where, values = conditions(wanted.of_blocks())
    with closing(db.cursor()) as cursor:
        for (block,) in cursor.execute(
            f"{each_block('DESC' if after_id is None else 'ASC', start)}"
            " SELECT block FROM each_block WHERE block IS NOT NULL"
            f" AND EXISTS (SELECT 1 FROM blocks AS b WHERE b.block = each_block.block AND {where})",
            (*started, *values),
        ):
            yield block


def totals_by_hour(
    db: apsw.Connection,
    wanted: Filter,
    *,
    zone: datetime.tzinfo = datetime.UTC,
    after_id: int | None = None,
    others: Iterable[Sequence[int]] = (),
) -> list[dict[str, Any]]:
    """The sums of TOTALS for each hour with requests, of the days that have detailed rows. Hours
    are those of clocks in `zone`, which is a whole number of quarters of an hour from UTC. `others`
    are quarters of other hosts, each with its sums."""
    where, values = conditions(wanted.of_rows() | {"id > ?": after_id})
    columns = {
        "requests": "count(*)",
        "successful": f"sum(NOT ({FAILED}))",
        "failed": f"sum({FAILED})",
        "estimated": "sum(is_estimate)",
    }
    sums = ", ".join(columns.get(name, f"sum({name})") for name in TOTALS)
    rows = run(
        db,
        f"SELECT requested_at / {QUARTER * 1000} * {QUARTER} AS quarter, {sums} FROM requests"
        f" WHERE {where} GROUP BY quarter",
        values,
    )
    hours: dict[int, list[int]] = {}
    for quarter, *counts in sorted([*map(tuple, others), *rows]):
        clock = datetime.datetime.fromtimestamp(quarter, zone)
        hour = quarter - clock.minute * 60
        before = hours.get(hour, [0] * len(counts))
        hours[hour] = [sum(pair) for pair in zip(before, counts, strict=True)]
    return [
        dict(zip((HOUR, *TOTALS), (hour, *counts), strict=True)) for hour, counts in hours.items()
    ]


def _of_block(
    db: apsw.Connection,
    block: int,
    wanted: Filter,
    limit: int,
    after_id: int | None,
    before_id: int | None,
) -> list[dict[str, Any]]:
    order = "DESC" if after_id is None else "ASC"
    where, values = conditions(wanted.of_rows() | {"id > ?": after_id, "id < ?": before_id})
    index = "INDEXED BY requests_failed" if wanted.only_failed else "NOT INDEXED"
    rows = run(
        db,
        f"SELECT {', '.join(FIELDS)} FROM request_log WHERE id IN (SELECT id FROM requests {index}"
        f" WHERE id BETWEEN ? AND ? AND {where} ORDER BY id {order} LIMIT ?) ORDER BY id {order}",
        (block * BLOCK, block * BLOCK + BLOCK - 1, *values, limit),
    )
    return named(rows)


def named(rows: list[Any]) -> list[dict[str, Any]]:
    """Rows of FIELDS as they are told in JSON."""
    found = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    for request in found:
        for name in _TRUTHS:
            request[name] = bool(request[name])
    return found


def failures(db: apsw.Connection, after_id: int, limit: int) -> list[dict[str, Any]]:
    """The newest requests after `after_id` that failed, newest first."""
    return named(
        run(
            db,
            f"SELECT {', '.join(FIELDS)} FROM request_log WHERE id > ?"
            f" AND ({FAILED})"
            " ORDER BY id DESC LIMIT ?",
            (after_id, limit),
        )
    )


def came_at(db: apsw.Connection, row_id: int) -> float | None:
    """The Unix time of the first request of this id or a later one."""
    rows = run(db, "SELECT requested_at FROM requests WHERE id >= ? ORDER BY id LIMIT 1", (row_id,))
    return rows[0][0] / 1000 if rows else None


def last_id(db: apsw.Connection) -> int:
    """The id of the request written last; ids only rise."""
    return int(run(db, "SELECT ifnull(max(id), 0) FROM requests")[0][0])


def delete_slice(
    db: apsw.Connection,
    before: datetime.date,
    limit: int,
    zone: datetime.tzinfo = datetime.UTC,
    last: int | None = None,
) -> int:
    """Delete at most `limit` rows of the days before `before`, in the caller's transaction; with
    `last` only up to this id.

    Returns how many were deleted; if fewer than `limit`, none is left.
    """
    before_ms = start_ms(before, zone)
    run(
        db,
        "DELETE FROM requests WHERE id IN (SELECT r.id"
        " FROM (SELECT DISTINCT block FROM blocks WHERE oldest < ?1) AS b"
        f" CROSS JOIN requests AS r ON r.id BETWEEN b.block * {BLOCK}"
        f" AND b.block * {BLOCK} + {BLOCK - 1}"
        " WHERE r.requested_at < ?1 AND r.id <= ifnull(?3, r.id) LIMIT ?2)",
        (before_ms, limit, last),
    )
    deleted = db.changes()
    # The next slice need not look through blocks that are empty now.
    run(db, f"DELETE FROM blocks WHERE block < (SELECT min(id) FROM requests) / {BLOCK}")
    if deleted < limit and last is None:
        run(db, "DELETE FROM blocks WHERE newest < ?", (before_ms,))
        run(db, "UPDATE blocks SET oldest = ?1 WHERE oldest < ?1", (before_ms,))
    return deleted
