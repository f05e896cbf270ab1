"""The costs of detailed rows, to be computed again, and the models of the usage log.

Invariant: a cost is only replaced where it still is what was read. The sums follow in the same
transaction by themselves (see `airoxy.store.migrations`).
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from airoxy.calendar import DAY_MS, day_number, day_of, numbered_day, start_ms
from airoxy.core.billing.usage import COUNTED, TOKENS, Usage
from airoxy.store.fleet.membership import ship_again
from airoxy.store.schema import run
from airoxy.store.usage.first_tables import BLOCK
from airoxy.store.usage.triggers import OTHER_MODELS


class Costed(NamedTuple):
    """What of a row its cost follows from."""

    id: int
    day: datetime.date
    cost_nanousd: int
    cost_inputs: str | None
    usage: Usage


class Change(NamedTuple):
    """A row's cost as it was read, and as it should be."""

    id: int
    before: int
    after: int


class ModelUse(NamedTuple):
    """What a model was used on one day, all keys and tokens together."""

    model: str
    day: datetime.date
    requests: int
    cost_nanousd: int


_COUNTS = ", ".join(COUNTED)
_USED = " + ".join(TOKENS)


def first_id(db: apsw.Connection, since: datetime.date) -> int:
    """No row of that day or later has a smaller id."""
    ((block,),) = run(
        db,
        "SELECT ifnull(min(block), 0) FROM blocks WHERE newest >= ?",
        (start_ms(since),),
    )
    return int(block) * BLOCK


def costed(
    db: apsw.Connection, since: datetime.date, first: int, last: int, limit: int
) -> list[Costed]:
    """The next rows, by id from `first` to `last`, of the days from `since` on."""
    rows = run(
        db,
        f"SELECT id, requested_at / {DAY_MS}, cost_nanousd, basis, model, {_COUNTS} FROM requests"
        " WHERE id BETWEEN ? AND ? AND requested_at >= ? ORDER BY id LIMIT ?",
        (first, last, start_ms(since), limit),
    )
    return [
        Costed(id_, numbered_day(day), cost, cost_inputs, Usage(model, *counts))
        for id_, day, cost, cost_inputs, model, *counts in rows
    ]


def change_costs(db: apsw.Connection, changes: Iterable[Change]) -> list[Change]:
    """Replace costs in the caller's transaction; those that were replaced."""
    changed = [
        change
        for change in changes
        if run(
            db,
            "UPDATE requests SET cost_nanousd = ?3 WHERE id = ?1 AND cost_nanousd = ?2 RETURNING 1",
            change,
        )
    ]
    if changed:
        ship_again(db, min(change.id for change in changed))
    return changed


def oldest_day(db: apsw.Connection, zone: datetime.tzinfo = datetime.UTC) -> datetime.date | None:
    """From when there are detailed rows; None if there is none."""
    ((oldest,),) = run(db, "SELECT min(oldest) FROM blocks")
    return None if oldest is None else day_of(oldest / 1000, zone)


def imported_days(db: apsw.Connection) -> list[datetime.date]:
    """The days whose sums were taken over from another program, with the costs that it computed."""
    rows = run(db, "SELECT ref FROM imports WHERE kind = 'day'")
    return sorted(numbered_day(json.loads(row[0])[0]) for row in rows)


def charged_models(db: apsw.Connection) -> list[str]:
    """Every model of the sums for which something was counted, and perhaps others."""
    return [*(name for (name,) in run(db, "SELECT name FROM charged_models")), OTHER_MODELS]


def counted_models(
    db: apsw.Connection,
    models: Sequence[str],
    since: datetime.date = datetime.date.min,
    until: datetime.date = datetime.date.max,
) -> list[ModelUse]:
    """These models with the days from `since` to before `until` on which something was counted for
    them."""
    rows = run(
        db,
        "SELECT model, day, sum(requests), sum(cost_nanousd) FROM daily"
        " WHERE day >= ? AND day < ? AND model IN (SELECT value FROM json_each(?))"
        f" AND {_USED} > 0 GROUP BY model, day ORDER BY model, day",
        (day_number(since), day_number(until), json.dumps(models)),
    )
    return [
        ModelUse(model, numbered_day(day), requests, cost) for model, day, requests, cost in rows
    ]
