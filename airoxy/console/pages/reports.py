"""A month's report as a page of bounded length: the dearest keys, and the others in one line."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airoxy.calendar import first_of_next_month
from airoxy.console.api.records import chosen_month, month_report
from airoxy.console.hosts.sight import with_sums
from airoxy.console.routes import Route, page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.core.report import divided, remarks, sums
from airoxy.store.usage.daily import SHOWN, by_key_and_model, costs_by_day_and_model
from airoxy.views.report.lines import key_name, model_name

#: How many months can be chosen.
_MONTHS = 24
#: So many keys, and so many models of each, have lines of their own; the files have all.
MOST_KEYS, MOST_MODELS = 100, 12

_ORDER = ("cost_nanousd", "requests")

Sums = dict[str, Any]
#: A day, a model, and what it has cost.
_Cost = tuple[str, "str | None", int]


def show_report(visit: Visit) -> Reply:
    """A month by client key and model."""
    with with_sums(visit, chosen_month(visit)) as (seen, sight):
        return Rendered("report.html", {**_values(seen), "sight": sight})


def _values(visit: Visit) -> dict[str, Any]:
    month = chosen_month(visit)
    end, today, db = first_of_next_month(month), visit.today, visit.db
    knows = visit.config.pricing.knows
    past = visit.services.past.of

    def whole_month() -> Mapping[str, Any]:
        rows = by_key_and_model(db, month, end)
        return _shown(
            rows, _unpriced(rows, knows, month, lambda: costs_by_day_and_model(db, month, end))
        )

    def so_far() -> Mapping[str, Any]:
        first = max(month, today)
        over = past(f"sums {month}", today, lambda: by_key_and_model(db, month, first))
        rows = [*over, *by_key_and_model(db, first, end)]

        def costs() -> list[_Cost]:
            over = past(f"costs {month}", today, lambda: costs_by_day_and_model(db, month, first))
            return [*over, *costs_by_day_and_model(db, first, end)]

        return _shown(rows, _unpriced(rows, knows, month, costs))

    # Of a month that is over only what is shown is kept: there are many of them.
    values = past(f"report {month}", today, whole_month) if end <= today else so_far()
    return {**values, "month": month, "months": _months(today), "complete": end <= today}


def _shown(rows: Sequence[Sums], unpriced: Collection[str | None]) -> Mapping[str, Any]:
    keys, others = _dearest(divided(rows, "api_key_id", "group_id"), MOST_KEYS, "keys")
    found = []
    for parts in keys:
        models, rest = _dearest(divided(parts, "model"), MOST_MODELS, "models")
        lines = [
            {**_sums(each), "name": model_name({"model": name, "priced": name not in unpriced})}
            for each in models
            for name in (each[0]["model"],)
        ]
        found.append({**_sums(parts), "name": key_name(parts[0]), "models": [*lines, *rest]})
    totals = _sums([*found, *others])
    return {"keys": found, "others": others, "totals": totals,
            "remarks": remarks(bool(unpriced), totals)}  # fmt: skip


def _unpriced(
    rows: Iterable[Sums],
    knows: Callable[[str | None, datetime.date], bool],
    month: datetime.date,
    read_costs: Callable[[], Iterable[_Cost]],
) -> set[str | None]:
    """The models that had no price on a day of the month on which they cost something."""
    doubtful = {row["model"] for row in rows if row["cost_nanousd"]}
    # Once a model has a price it always has one.
    doubtful = {model for model in doubtful if not knows(model, month)}
    unpriced = {model for model in doubtful if not knows(model, first_of_next_month(month))}
    if doubtful == unpriced:
        return unpriced
    return unpriced | {
        model
        for day, model, cost in read_costs()
        if cost and model in doubtful and not knows(model, datetime.date.fromisoformat(day))
    }


def _sums(rows: Iterable[Sums]) -> Sums:
    return sums(rows, SHOWN)


def _dearest(groups: list[list[Sums]], most: int, what: str) -> tuple[list[list[Sums]], list[Sums]]:
    """The dearest groups, and the line of those for which there is no room, if any."""
    groups.sort(key=lambda rows: [-sum(row[by] for row in rows) for by in _ORDER])
    rest = groups[most:]
    line = {"name": f"{len(rest):,} other {what}", **_sums([row for rows in rest for row in rows])}
    return groups[:most], [line] if rest else []


def _download(form: str) -> Route:
    """What `airoxy stats --report month --format` writes."""
    return page(
        f"/reports/{form}",
        lambda visit: month_report(replace(visit, query={**visit.query, "format": form})),
    )


def _months(today: datetime.date) -> list[datetime.date]:
    found = [today.replace(day=1)]
    while len(found) < _MONTHS:
        found.append((found[-1] - datetime.timedelta(1)).replace(day=1))
    return found


ROUTES = (page("/reports", show_report), _download("html"), _download("csv"))
