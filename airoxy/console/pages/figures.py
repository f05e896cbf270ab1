"""What several pages show: a chart of the last 30 days, and lines of the log."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from airoxy.console.visit import Visit
from airoxy.core.billing.usage import HEADINGS
from airoxy.core.limits.measures import DAY, MONTH
from airoxy.store.limits import recorded_use_of_keys
from airoxy.store.usage.daily import costs_by_day_and_model
from airoxy.views import keys as views
from airoxy.views.formats import short, short_model
from airoxy.views.report.chart import Series, largest, stacked
from airoxy.views.times import local_time

_DAYS = 30


class Chart(NamedTuple):
    """The picture, and the names of its series in the order of their colours."""

    svg: Markup
    names: list[str]


def first_of_chart(today: datetime.date) -> datetime.date:
    """The first day of the 30."""
    return today - datetime.timedelta(_DAYS - 1)


def by_model(visit: Visit, *, key_id: int | None = None) -> Chart | None:
    """What was spent by day and model; None where nothing was."""
    first = first_of_chart(visit.today)
    days = [(first + datetime.timedelta(n)).isoformat() for n in range(_DAYS)]
    amounts: dict[str, list[int]] = {}
    for day, model, cost in _costs(visit, first, key_id):
        if cost:
            series = amounts.setdefault(short_model(model), [0] * _DAYS)
            series[days.index(day)] += cost
    if not amounts:
        return None
    series_of: list[Series] = largest(amounts)
    title = "Spend by day and model, the last 30 days"
    return Chart(Markup(stacked(title, days, series_of)), [each.name for each in series_of])  # noqa: S704 - escaped there


def _costs(
    visit: Visit, first: datetime.date, key_id: int | None
) -> list[tuple[str, str | None, int]]:
    today, db = visit.today, visit.db
    tomorrow = today + datetime.timedelta(1)
    if key_id is not None:
        return costs_by_day_and_model(db, first, tomorrow, key_id=key_id)
    return [
        *visit.services.past.of("days", today, lambda: costs_by_day_and_model(db, first, today)),
        *costs_by_day_and_model(db, today, tomorrow),
    ]


def with_meters(
    visit: Visit, listed: Iterable[Mapping[str, Any]], spent: Mapping[int, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Keys with what they have spent today and this month, and the limit of which most is used."""
    use_of = recorded_use_of_keys(visit.db, visit.now, spent)
    found = []
    for key in listed:
        use = use_of(key["id"])
        shown = {**key, "today": use.spent[DAY.name], "month": use.spent[MONTH.name]}
        meters = views.meters({**key, **views.by_field(use)}, visit.zone)
        tightest = max(meters, key=lambda meter: meter.share, default=None)
        found.append({**shown, "tightest": tightest, "state": views.state(key, visit.now)})
    return found


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
