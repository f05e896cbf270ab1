"""What the requests with each upstream token have cost, by the sums of the days."""

from __future__ import annotations

import datetime

import apsw

from airoxy.calendar import day_number
from airoxy.core.limits.measures import DAY, MONTH
from airoxy.store.schema import run
from airoxy.store.usage import days

_SUMS = (
    "ifnull(sum(cost_nanousd) FILTER (WHERE day = ?2), 0), ifnull(sum(cost_nanousd), 0)"
    " FROM daily WHERE day BETWEEN ?1 AND ?2"
)


def spent(db: apsw.Connection, now: float) -> dict[int, tuple[int, int]]:
    """With each token that was used this month, today and this month, in nano-dollars."""
    today = days.today(db, now)
    rows = run(db, f"SELECT token_id, {_SUMS} GROUP BY token_id", _since(today))
    return {token_id: (of_today, of_month) for token_id, of_today, of_month in rows}


def spent_with(db: apsw.Connection, token_id: int, today: datetime.date) -> dict[str, int]:
    """With this token in the periods of its limits, by their names, in nano-dollars."""
    (row,) = run(db, f"SELECT {_SUMS} AND token_id = ?3", (*_since(today), token_id))
    return dict(zip((DAY.name, MONTH.name), row, strict=True))


def _since(today: datetime.date) -> tuple[int, int]:
    """The first day of the month, and today."""
    return day_number(MONTH.first(today)), day_number(today)
