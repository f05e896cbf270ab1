"""The overview: how things are."""

from __future__ import annotations

from typing import Any

from airoxy.calendar import start_ms
from airoxy.console.pages.figures import (
    by_model,
    request_lines,
    with_meters,
)
from airoxy.console.pages.tokens import shown
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.core.billing.usage import PROMPT
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.measures import DAY, MONTH
from airoxy.store import keys
from airoxy.store.fleet.membership import name_in_fleet
from airoxy.store.groups import find_group
from airoxy.store.limits import recorded_use
from airoxy.store.tokens import list_tokens
from airoxy.store.usage import requests
from airoxy.store.usage.daily import totals
from airoxy.store.usage.past import month_totals, spent_by_key
from airoxy.views.keys import Meter, by_field, meters

#: How many tokens, keys and failed requests are shown.
_TOKENS, _KEYS, _FAILURES = 12, 8, 6
#: How many of the doctor's findings are shown, and how old they may be (seconds): the checks read
#: the whole database, which must not happen for each view.
_FINDINGS, _FRESH = 6, 300.0


def show(visit: Visit) -> Reply:
    """What goes on, today, this month, tokens, keys and what failed last."""
    today = visit.today
    of_today = totals(visit.db, since=today)
    of_month = month_totals(visit.db, visit.services.past, visit.today, of_today)
    failed = requests.newest(
        visit.db, limit=_FAILURES,
        wanted=requests.Filter(failed=True, since_ms=start_ms(today, visit.zone)),
    )  # fmt: skip
    prompt = sum(of_month[name] for name in PROMPT)
    pool = [shown(visit, row) for row in list_tokens(visit.db, visit.now)]
    known = keys.list_keys(visit.db)
    values = {
        "today": of_today,
        "month": of_month,
        "limits": _limits(visit),
        "cached": of_month["cache_read_tokens"] / prompt if prompt else None,
        "chart_of_days": by_model(visit),
        "tokens": _foremost(pool),
        "token_count": len(pool),
        "keys": _dearest(visit, known),
        "key_count": len(known),
        "failures": request_lines(visit, failed),
        "last": requests.last_id(visit.db),
        "fleet_host": name_in_fleet(visit.db),
        **_doctor(visit),
    }
    return Rendered("overview.html", values)


def _doctor(visit: Visit) -> dict[str, Any]:
    """The doctor's last findings that are not ok, the worst first."""
    services = visit.services
    checkup = services.checkup.look(services.examine, services.clock, _FRESH)
    wrong = [each for kind in ("fail", "warn") for each in checkup.found if each["state"] == kind]
    return {"checkup": checkup, "wrong": wrong[:_FINDINGS], "more_wrong": wrong[_FINDINGS:]}


def _limits(visit: Visit) -> dict[str, Meter | None]:
    """What all keys together may spend, and have: today's limit and the month's, by `day` and
    `month`; None where there is none."""
    group = find_group(visit.db, EVERYBODY)
    found: dict[str, Meter | None] = {DAY.name: None, MONTH.name: None}
    for period in (DAY, MONTH):
        limit = {f"spend_per_{period.name}_nanousd": group[f"spend_per_{period.name}_nanousd"]}
        if None not in limit.values():
            use = recorded_use(visit.db, EVERYBODY + GROUPS_FROM, visit.now)
            (found[period.name],) = meters({**limit, **by_field(use)}, visit.zone)
    return found


def _foremost(pool: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tokens that need attention first: those that are not ready, then those that have used
    most of a quota window."""
    if len(pool) <= _TOKENS:
        return pool

    def order(token: dict[str, Any]) -> tuple[bool, float]:
        used = (each["used"] for each in token["windows"].values())
        return token["kind"] == "ok", -max(used, default=0.0)

    return sorted(pool, key=order)[:_TOKENS]


def _dearest(visit: Visit, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The keys that have spent most today, each with its most used limit."""
    spent = spent_by_key(visit.db, visit.services.past, visit.today)

    def order(key: dict[str, Any]) -> tuple[int, int]:
        costs = spent.get(key["id"], {})
        return -costs.get(DAY.name, 0), -costs.get(MONTH.name, 0)

    return with_meters(visit, sorted(known, key=order)[:_KEYS], spent)


ROUTES = (page("/", show),)
