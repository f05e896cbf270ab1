"""What several pages show: a chart of the last 30 days, and lines of the log."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from airoxy.console.visit import Visit
from airoxy.core.billing.usage import HEADINGS
from airoxy.core.limits.measures import DAY, MONTH, WEEK, Use
from airoxy.store.limits import spent as spent_in_all
from airoxy.store.limits import use_of_last_minute
from airoxy.store.usage.daily import costs_by_day_and_model, costs_by_key, totals
from airoxy.views import keys as views
from airoxy.views.formats import short, short_model
from airoxy.views.report.chart import Series, largest, stacked
from airoxy.views.times import local_time

_DAYS = 30
_PERIODS = (DAY, WEEK, MONTH)


class Chart(NamedTuple):
    """The picture, and the names of its series in the order of their colours."""

    svg: Markup
    names: list[str]


def by_model(visit: Visit, *, key_id: int | None = None) -> Chart | None:
    """What was spent by day and model; None where nothing was."""
    first = visit.today - datetime.timedelta(_DAYS - 1)
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


def month_totals(visit: Visit, of_today: Mapping[str, Any]) -> dict[str, int]:
    """The sums of this month, of which those of today are known."""
    today, first = visit.today, visit.today.replace(day=1)
    past = visit.services.past.of(
        "month", today, lambda: totals(visit.db, since=first, until=today)
    )
    return {name: count + of_today[name] for name, count in past.items()}


def spent_by_key(visit: Visit) -> dict[int, dict[str, int]]:
    """What each key that has been used has spent today, this week and this month."""
    today, db = visit.today, visit.db
    firsts = [period.first(today) for period in _PERIODS]
    past = visit.services.past.of("keys", today, lambda: costs_by_key(db, firsts, today))
    fresh = costs_by_key(db, [today], today + datetime.timedelta(1))
    nothing = (0,) * len(firsts)
    return {
        key: {
            period.name: cost + fresh.get(key, (0,))[0]
            for period, cost in zip(_PERIODS, past.get(key, nothing), strict=True)
        }
        for key in past.keys() | fresh.keys()
    }


def with_meters(
    visit: Visit, listed: Iterable[Mapping[str, Any]], spent: Mapping[int, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Keys with what they have spent today and this month, and the limit of which most is used."""
    minute = use_of_last_minute(visit.db, visit.now)
    found = []
    for key in listed:
        costs = dict(spent.get(key["id"], dict.fromkeys((each.name for each in _PERIODS), 0)))
        shown = {**key, "today": costs[DAY.name], "month": costs[MONTH.name]}
        if key["spend_total_nanousd"] is not None:
            costs |= spent_in_all(visit.db, key["id"], visit.today, total=True)
        seconds = minute.get(key["id"], [])
        use = Use(costs, requests=[each.requests for each in seconds],
                  tokens=[each.tokens for each in seconds])  # fmt: skip
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
