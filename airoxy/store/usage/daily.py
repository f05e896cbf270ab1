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

from airoxy.calendar import numbered_day
from airoxy.core.billing.usage import COUNTED
from airoxy.store.schema import run
from airoxy.store.usage.rollups.source import Chosen, by_model, by_span, one_moment

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

#: Those of TOTALS that are columns.
ADDED = tuple(name for name in TOTALS if name != "successful")
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
    chosen = Chosen(since, until, token_id, key_id, group_id)
    with one_moment(db):
        (row,) = run(db, f"SELECT {SUMS} FROM {_source(db, None, chosen)}")
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
    chosen = Chosen(since, until, token_id, key_id, group_id)
    with one_moment(db):
        source = _source(db, group, chosen)
        rows = run(db, f"SELECT {columns}, {SUMS} FROM {source} GROUP BY 1 ORDER BY {order}")
    groups = [dict(zip((*fields, *TOTALS), row, strict=True)) for row in rows]
    if group == "day":
        for row in groups:
            row["day"] = numbered_day(row["day"]).isoformat()
    return groups


def _source(db: apsw.Connection, group: str | None, chosen: Chosen) -> str:
    """Where the fewest rows have to be read."""
    if chosen.of_all and group not in ("token", "key"):
        return by_model(db, chosen, ("day", "model", "group_id", *ADDED))
    if group == "day":
        return f"(SELECT * FROM daily WHERE {chosen.where})"
    return by_span(db, chosen, ("api_key_id", "token_id", "model", "group_id", *ADDED))


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
    key_id: int | None = None,
) -> list[dict[str, Any]]:
    """The sums of TOTALS for each day, client key, group and model: what a report is made from."""
    chosen = Chosen(since, until, key_id=key_id)
    rows = run(
        db,
        "SELECT day, nullif(api_key_id, 0), (SELECT name FROM api_keys WHERE id = api_key_id),"
        " nullif(group_id, 0), (SELECT name FROM groups WHERE id = group_id),"
        f" nullif(model, ''), {SUMS} FROM daily WHERE {chosen.where}"
        " GROUP BY day, api_key_id, group_id, model",
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
    with one_moment(db):
        source = by_span(db, Chosen(since, until), ("api_key_id", "group_id", "model", *SHOWN))
        rows = run(
            db,
            "SELECT nullif(api_key_id, 0), (SELECT name FROM api_keys WHERE id = api_key_id),"
            f" group_id, nullif(model, ''), {sums} FROM {source}"
            " GROUP BY api_key_id, group_id, model",
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
    chosen = Chosen(since, until, key_id=key_id)
    with one_moment(db):
        source = (
            by_model(db, chosen, ("day", "model", "cost_nanousd"))
            if chosen.of_all
            else f"(SELECT day, model, cost_nanousd FROM daily WHERE {chosen.where})"
        )
        rows = run(
            db,
            f"SELECT day, nullif(model, ''), sum(cost_nanousd) FROM {source} GROUP BY day, model",
        )
    return [(numbered_day(day).isoformat(), model, cost) for day, model, cost in rows]


def costs_by_key(
    db: apsw.Connection, firsts: Sequence[datetime.date], until: datetime.date
) -> dict[int, tuple[int, ...]]:
    """What each client key has cost from each of these days on to before `until`."""
    found: dict[int, list[int]] = {}
    with one_moment(db):
        for n, first in enumerate(firsts):
            source = by_span(db, Chosen(first, until), ("api_key_id", "cost_nanousd"))
            for key, cost in run(
                db, f"SELECT api_key_id, sum(cost_nanousd) FROM {source} GROUP BY api_key_id"
            ):
                found.setdefault(key, [0] * len(firsts))[n] = cost
    return {key: tuple(costs) for key, costs in found.items()}


def conditions(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The SQL and the values of those conditions that have one, or a tuple of them."""
    given = {condition: value for condition, value in wanted.items() if value is not None}
    values: list[Any] = []
    for value in given.values():
        values += value if isinstance(value, tuple) else (value,)
    return " AND ".join(given) or "1", values
