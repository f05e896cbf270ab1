"""What several pages show: a chart of the last 30 days, and lines of the log."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from airoxy.console.visit import Visit
from airoxy.core.billing.usage import HEADINGS
from airoxy.store.usage.daily import by_day_key_and_model
from airoxy.views.formats import short, short_model
from airoxy.views.report.chart import Series, largest, stacked
from airoxy.views.times import local_time

_DAYS = 30


class Chart(NamedTuple):
    """The picture, and the names of its series in the order of their colours."""

    svg: Markup
    names: list[str]


def by_model(visit: Visit, *, key_id: int | None = None) -> Chart | None:
    """What was spent by day and model; None where nothing was."""
    first = visit.today - datetime.timedelta(_DAYS - 1)
    days = [(first + datetime.timedelta(n)).isoformat() for n in range(_DAYS)]
    amounts: dict[str, list[int]] = {}
    for row in by_day_key_and_model(visit.db, first, None, key_id=key_id):
        if row["cost_nanousd"] and row["day"] in days:
            series = amounts.setdefault(short_model(row["model"]), [0] * _DAYS)
            series[days.index(row["day"])] += row["cost_nanousd"]
    if not amounts:
        return None
    series_of: list[Series] = largest(amounts)
    title = "Spend by day and model, the last 30 days"
    return Chart(Markup(stacked(title, days, series_of)), [each.name for each in series_of])  # noqa: S704 - escaped there


def request_lines(visit: Visit, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Requests as the log shows them."""
    return [
        {
            **row,
            "clock": local_time(row["requested_at"], visit.zone),
            "key": row["api_key_name"]
            or (f"key {row['api_key_id']}" if row["api_key_id"] else "–"),
            "counts": {
                name: short(sum(row[field] for field in fields))
                for name, fields in HEADINGS.items()
            },
            "kind": _kind(row),
        }
        for row in rows
    ]


def _kind(row: Mapping[str, Any]) -> str:
    """The colour of a request's status."""
    if row["status_code"] >= 500 or row["ending"] in ("upstream_failed", "worker_killed"):
        return "bad"
    return "warn" if row["status_code"] >= 400 else ""
