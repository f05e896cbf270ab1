"""The daily sums of the usage log: by day, client key, token and model, kept for good.

Invariant: the sums hold every request ever written, so a total never looks at the detailed rows,
and nothing can be counted twice or be missing. Days are those of `store.usage.days`.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from airoxy.calendar import day_number, numbered_day
from airoxy.core.billing.usage import COUNTED
from airoxy.store.schema import run

#: What is counted of a request.
COUNTS = (*COUNTED, "cost_nanousd")
#: What a total says.
TOTALS = (
    *("requests", "successful", "failed", *COUNTS, "estimated", "uncounted"),
    *("moved", "move_cost_nanousd"),
)
#: What of a total a page has room for.
SHOWN = (
    *("requests", "failed", "input_tokens", "cache_read_tokens", "output_tokens"),
    *("cost_nanousd", "estimated", "uncounted"),
)

#: The columns of TOTALS.
SUMS = ", ".join(
    f"ifnull(sum({'requests - failed' if name == 'successful' else name}), 0)" for name in TOTALS
)

# Group: its fields, how they are had from the sums (day as a number), and the order.
_GROUPS = {
    "day": (("day",), "day", "day"),
    "model": (("model",), "nullif(model, '')", "sum(cost_nanousd) DESC, model"),
    "token": (
        ("token_id", "token_name"),
        "nullif(token_id, 0), (SELECT name FROM tokens WHERE id = token_id)",
        "sum(cost_nanousd) DESC, token_id",
    ),
    "key": (
        ("api_key_id", "api_key_name"),
        "nullif(api_key_id, 0), (SELECT name FROM api_keys WHERE id = api_key_id)",
        "sum(cost_nanousd) DESC, api_key_id",
    ),
    "group": (
        ("group_id", "group_name"),
        "nullif(group_id, 0), (SELECT name FROM groups WHERE id = group_id)",
        "sum(cost_nanousd) DESC, group_id",
    ),
}
GROUPS = tuple(_GROUPS)


def totals(
    db: apsw.Connection,
    *,
    since: datetime.date | None = None,
    until: datetime.date | None = None,
    token_id: int | None = None,
    key_id: int | None = None,
    group_id: int | None = None,
) -> dict[str, Any]:
    """The sums of TOTALS over the days from `since` to before `until`."""
    where, values = where_used(since, until, token_id, key_id, group_id)
    (row,) = run(db, f"SELECT {SUMS} FROM daily WHERE {where}", values)
    return dict(zip(TOTALS, row, strict=True))


def totals_by(
    db: apsw.Connection,
    group: str,
    *,
    since: datetime.date | None = None,
    until: datetime.date | None = None,
    token_id: int | None = None,
    key_id: int | None = None,
    group_id: int | None = None,
) -> list[dict[str, Any]]:
    """The same for each of a group (GROUPS): days as they follow, the others by cost."""
    fields, columns, order = _GROUPS[group]
    where, values = where_used(since, until, token_id, key_id, group_id)
    rows = run(
        db,
        f"SELECT {columns}, {SUMS} FROM daily WHERE {where} GROUP BY 1 ORDER BY {order}",
        values,
    )
    groups = [dict(zip((*fields, *TOTALS), row, strict=True)) for row in rows]
    if group == "day":
        for row in groups:
            row["day"] = numbered_day(row["day"]).isoformat()
    return groups


def added(
    group: str | None, some: Sequence[Mapping[str, Any]], more: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """`totals_by` of two spans of days as of both together; without a group, `totals`."""
    field = _GROUPS[group][0][0] if group else ""
    found: dict[Any, dict[str, Any]] = {}
    for row in (*some, *more):
        before = found.get(row.get(field), dict.fromkeys(TOTALS, 0))
        found[row.get(field)] = {**row, **{name: row[name] + before[name] for name in TOTALS}}
    rows = list(found.values())
    if field in ("", "day"):
        return rows
    # Of the same cost as SQLite sorts them: what is nobody's first.
    rows.sort(key=lambda row: (row[field] is not None, row[field] or 0))
    return sorted(rows, key=lambda row: -row["cost_nanousd"])


def by_day_key_and_model(
    db: apsw.Connection,
    since: datetime.date | None,
    until: datetime.date | None,
    *,
    token_id: int | None = None,
    key_id: int | None = None,
    group_id: int | None = None,
) -> list[dict[str, Any]]:
    """The sums of TOTALS for each day, client key, group and model: what a report is made from."""
    where, values = where_used(since, until, token_id, key_id, group_id)
    rows = run(
        db,
        "SELECT day, nullif(api_key_id, 0), (SELECT name FROM api_keys WHERE id = api_key_id),"
        " nullif(group_id, 0), (SELECT name FROM groups WHERE id = group_id),"
        f" nullif(model, ''), {SUMS} FROM daily WHERE {where}"
        " GROUP BY day, api_key_id, group_id, model",
        values,
    )
    fields = ("day", "api_key_id", "api_key_name", "group_id", "group_name", "model", *TOTALS)
    groups = [dict(zip(fields, row, strict=True)) for row in rows]
    for row in groups:
        row["day"] = numbered_day(row["day"]).isoformat()
    return groups


def by_key_and_model(
    db: apsw.Connection, since: datetime.date, until: datetime.date
) -> list[dict[str, Any]]:
    """The sums of SHOWN for each client key, group and model."""
    sums = ", ".join(f"sum({name})" for name in SHOWN)
    rows = run(
        db,
        "SELECT nullif(api_key_id, 0), (SELECT name FROM api_keys WHERE id = api_key_id), group_id,"
        f" nullif(model, ''), {sums} FROM daily WHERE day >= ? AND day < ?"
        " GROUP BY api_key_id, group_id, model",
        (day_number(since), day_number(until)),
    )
    fields = ("api_key_id", "api_key_name", "group_id", "model", *SHOWN)
    return [dict(zip(fields, row, strict=True)) for row in rows]


def costs_by_day_and_model(
    db: apsw.Connection,
    since: datetime.date,
    until: datetime.date,
    *,
    key_id: int | None = None,
) -> list[tuple[str, str | None, int]]:
    """Day, model and what it has cost, of the days from `since` to before `until`."""
    days = ", ".join(map(str, range(day_number(since), day_number(until))))
    # The days one by one, because the sums are in the order of days and then of keys.
    where, values = ("", ()) if key_id is None else (" AND api_key_id = ?", (key_id,))
    rows = run(
        db,
        "SELECT day, nullif(model, ''), sum(cost_nanousd) FROM daily"
        f" WHERE day IN ({days}){where} GROUP BY day, model",
        values,
    )
    return [(numbered_day(day).isoformat(), model, cost) for day, model, cost in rows]


def costs_by_key(
    db: apsw.Connection, firsts: Sequence[datetime.date], until: datetime.date
) -> dict[int, tuple[int, ...]]:
    """What each client key has cost from each of these days on to before `until`."""
    sums = ", ".join(
        f"ifnull(sum(cost_nanousd) FILTER (WHERE day >= {day_number(first)}), 0)"
        for first in firsts
    )
    rows = run(
        db,
        f"SELECT api_key_id, {sums} FROM daily WHERE day >= ? AND day < ? GROUP BY api_key_id",
        (day_number(min(firsts)), day_number(until)),
    )
    return {row[0]: row[1:] for row in rows}


def conditions(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The SQL and the values of those conditions that have one, or a tuple of them."""
    given = {condition: value for condition, value in wanted.items() if value is not None}
    values: list[Any] = []
    for value in given.values():
        values += value if isinstance(value, tuple) else (value,)
    return " AND ".join(given) or "1", values


#: A key's sums are found by looking for it in each day, because they are in the order of days and
#: then of keys.
_EACH_DAY = (
    "day IN (WITH RECURSIVE each_day (day) AS (SELECT max(ifnull(?, 0), min(day)) FROM daily"
    " UNION ALL SELECT day + 1 FROM each_day WHERE day < (SELECT max(day) FROM daily))"
    " SELECT day FROM each_day)"
)


def where_used(
    since: datetime.date | None,
    until: datetime.date | None,
    token_id: int | None = None,
    key_id: int | None = None,
    group_id: int | None = None,
) -> tuple[str, list[int]]:
    """The SQL and the values of the condition for these sums."""
    first = day_number(since) if since else None
    return conditions(
        {
            "day >= ?": first if key_id is None else None,
            _EACH_DAY: None if key_id is None else (first,),
            "day < ?": day_number(until) if until else None,
            "token_id = ?": token_id,
            "api_key_id = ?": key_id,
            "group_id = ?": group_id,
        }
    )
