"""The overview: how things are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.calendar import start_ms
from airoxy.console.hosts.log import log_page
from airoxy.console.hosts.sight import Sight, with_sums
from airoxy.console.pages.figures import (
    by_model,
    first_of_chart,
    request_lines,
    with_meters,
)
from airoxy.console.pages.tokens import shown
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.core.billing.usage import PROMPT
from airoxy.core.limits.holders import EVERYBODY
from airoxy.core.limits.measures import DAY, MONTH, PERIODS, Use
from airoxy.store import keys
from airoxy.store.fleet.hosts import with_own
from airoxy.store.groups import find_group
from airoxy.store.tokens import list_tokens
from airoxy.store.usage.daily import totals
from airoxy.store.usage.filter import Filter
from airoxy.store.usage.past import month_totals, spent_by_key
from airoxy.store.usage.rollups.source import Chosen
from airoxy.views.keys import Meter, by_field, meters

#: How many tokens, keys and failed requests are shown.
_TOKENS, _KEYS, _FAILURES = 12, 8, 6
#: How many of the doctor's findings are shown, and how old they may be (seconds): the checks read
#: the whole database, which must not happen for each view.
_FINDINGS, _FRESH = 6, 300.0
_PERIODS = tuple(period.name for period in PERIODS)


def show(visit: Visit) -> Reply:
    """What goes on, today, this month, tokens, keys and what failed last."""
    first = min(visit.today.replace(day=1), first_of_chart(visit.today))
    with with_sums(visit, first) as (seen, sight):
        return Rendered("overview.html", _values(seen, sight))


def _values(visit: Visit, sight: Sight) -> dict[str, Any]:
    today = visit.today
    of_today = totals(visit.db, since=today)
    of_month = month_totals(visit.db, visit.services.past, visit.today, of_today)
    wanted = Filter(failed=True, since_ms=start_ms(today, visit.zone))
    failed = log_page(visit, sight, _FAILURES, wanted).requests
    prompt = sum(of_month[name] for name in PROMPT)
    pool = [shown(visit, row) for row in list_tokens(visit.db, visit.now)]
    known = keys.list_keys(visit.db)
    return {
        "sight": sight,
        "hosts": _by_host(visit, sight, of_today),
        "today": of_today,
        "month": of_month,
        "limits": _limits(visit, of_today, of_month),
        "cached": of_month["cache_read_tokens"] / prompt if prompt else None,
        "chart_of_days": by_model(visit),
        "tokens": _foremost(pool),
        "token_count": len(pool),
        "keys": _dearest(visit, known),
        "key_count": len(known),
        "failures": request_lines(visit, failed),
        **_doctor(visit),
    }


def _by_host(
    visit: Visit, sight: Sight, of_all: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What each host of all has had today, the busiest first."""
    if sight.shown is None or sight.chosen is not None:
        return []
    found = with_own(of_all, sight.shown.by_host(Chosen(visit.today)), sight.own)
    idle = dict.fromkeys(of_all, 0)
    rows = {name: found.get(name, idle) for name in (*sight.names, *found)}
    return sorted(rows.items(), key=lambda row: (-row[1]["cost_nanousd"], row[0]))


def _doctor(visit: Visit) -> dict[str, Any]:
    """The doctor's last findings that are not ok, the worst first."""
    services = visit.services
    checkup = services.checkup.look(services.examine, services.clock, _FRESH)
    wrong = [each for kind in ("fail", "warn") for each in checkup.found if each["state"] == kind]
    return {"checkup": checkup, "wrong": wrong[:_FINDINGS], "more_wrong": wrong[_FINDINGS:]}


def _limits(
    visit: Visit, today: Mapping[str, Any], month: Mapping[str, Any]
) -> dict[str, Meter | None]:
    """What all keys together may spend, and have: today's limit and the month's, by `day` and
    `month`; None where there is none."""
    group = find_group(visit.db, EVERYBODY)
    found: dict[str, Meter | None] = {DAY.name: None, MONTH.name: None}
    for period, sums in ((DAY, today), (MONTH, month)):
        limit = {f"spend_per_{period.name}_nanousd": group[f"spend_per_{period.name}_nanousd"]}
        if None not in limit.values():
            use = Use({**dict.fromkeys(_PERIODS, 0), period.name: sums["cost_nanousd"]})
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
