"""The overview: how things are."""

from __future__ import annotations

from typing import Any

from airoxy.calendar import start_ms
from airoxy.console.pages.figures import by_model, request_lines
from airoxy.console.pages.tokens import shown
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.core.billing.usage import PROMPT
from airoxy.store import keys
from airoxy.store.tokens import list_tokens
from airoxy.store.usage import requests
from airoxy.store.usage.daily import totals, totals_by
from airoxy.views.cache import cache_effect
from airoxy.views.keys import meters, with_use

#: Keys and failures that are shown.
_KEYS, _FAILURES = 8, 6


def show(visit: Visit) -> Reply:
    """Today, this month, tokens, keys and what failed last."""
    today, month = visit.today, visit.today.replace(day=1)
    of_today, of_month = (totals(visit.db, since=day) for day in (today, month))
    failed = requests.newest(
        visit.db, limit=_FAILURES,
        wanted=requests.Filter(failed=True, since_ms=start_ms(today, visit.zone)),
    )  # fmt: skip
    values = {
        "today": of_today,
        "month": of_month,
        "cache": _cache(visit, of_month),
        "chart_of_days": by_model(visit),
        "tokens": [shown(visit, row) for row in list_tokens(visit.db, visit.now)],
        "keys": _dearest(visit),
        "failures": request_lines(visit, failed),
    }
    return Rendered("overview.html", values)


def _cache(visit: Visit, month: dict[str, Any]) -> dict[str, Any] | None:
    """What the prompt cache did this month; None where there was no prompt."""
    if not sum(month[name] for name in PROMPT):
        return None
    since = visit.today.replace(day=1)
    return cache_effect(
        visit.db, visit.config.pricing, since=since, until=None, token_id=None, key_id=None,
        group_id=None,
    )  # fmt: skip


def _dearest(visit: Visit) -> list[dict[str, Any]]:
    """The keys by what they have spent today, each with the limit of which most is used."""
    spent = totals_by(visit.db, "key", since=visit.today)
    by_id = {row["api_key_id"]: row["cost_nanousd"] for row in spent}
    listed = sorted(keys.list_keys(visit.db), key=lambda key: -by_id.get(key["id"], 0))
    found = []
    for key in listed[:_KEYS]:
        used = meters(with_use(visit.db, key, visit.now), visit.zone)
        tightest = max(used, key=lambda meter: meter.share, default=None)
        found.append({**key, "today": by_id.get(key["id"], 0), "tightest": tightest})
    return found


ROUTES = (page("/", show),)
