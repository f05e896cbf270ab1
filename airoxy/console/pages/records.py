"""What is only looked at: reports, prices, the audit trail and the service's health."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from airoxy.console.api.records import month_report, read_prices, read_report
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.store.audit.trail import read_trail
from airoxy.views import changes
from airoxy.views.report.lines import key_name, model_name

_ENTRIES = 200
#: How many months can be chosen.
_MONTHS = 24


def show_report(visit: Visit) -> Reply:
    """A month by client key and model."""
    report = read_report(visit)
    keys = [
        {**key, "name": key_name(key), "models": [_named(model) for model in key["models"]]}
        for key in report.keys
    ]
    values = {"month": report.month, "months": _months(visit.today), "report": report, "keys": keys}
    return Rendered("report.html", values)


def _named(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "name": model_name(model)}


def download_html(visit: Visit) -> Reply:
    """The page that `airoxy stats --report month --format html` writes."""
    return month_report(replace(visit, query={**visit.query, "format": "html"}))


def download_csv(visit: Visit) -> Reply:
    """The lines that `airoxy stats --report month --format csv` writes."""
    return month_report(replace(visit, query={**visit.query, "format": "csv"}))


def _months(today: datetime.date) -> list[datetime.date]:
    found = [today.replace(day=1)]
    while len(found) < _MONTHS:
        found.append((found[-1] - datetime.timedelta(1)).replace(day=1))
    return found


def show_prices(visit: Visit) -> Reply:
    """The price table, and what has no price in it."""
    return Rendered("prices.html", {"prices": read_prices(visit)})


def show_audit(visit: Visit) -> Reply:
    """Who has changed what, the newest first."""
    found = read_trail(visit.db, limit=_ENTRIES)
    entries = [
        {
            "at": entry.at / 1000,
            "by": changes.by(entry),
            "what": f"{entry.kind} {entry.subject}",
            "name": changes.visible(entry.name),
            "action": entry.action,
            "words": changes.in_words(entry.action, entry.before, entry.after),
        }
        for entry in reversed(found)
    ]
    return Rendered("audit.html", {"entries": entries, "days": visit.config.audit_retention_days})


def show_health(visit: Visit) -> Reply:
    """What the service says of itself, and what doctor finds."""
    status, document = visit.services.ask_health()
    values = {"status": status, "health": document, "findings": visit.services.examine()}
    return Rendered("health.html", values)


ROUTES = (
    page("/reports", show_report),
    page("/reports/html", download_html),
    page("/reports/csv", download_csv),
    page("/prices", show_prices),
    page("/audit", show_audit),
    page("/health", show_health),
)
