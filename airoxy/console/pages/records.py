"""What is only looked at: reports, prices, the audit trail and the service's health."""

from __future__ import annotations

import datetime
import io
import re
from typing import Any

from airoxy.console.routes import page
from airoxy.console.visit import Download, Rendered, Reply, Visit
from airoxy.core.report import Report
from airoxy.errors import InvalidInput
from airoxy.store.audit.trail import read_trail
from airoxy.views import changes, prices
from airoxy.views.report.lines import key_name, model_name, read_report, write_csv
from airoxy.views.report.page import page as report_page

_ENTRIES = 200
#: How many months can be chosen.
_MONTHS = 24


def show_report(visit: Visit) -> Reply:
    """A month by client key and model."""
    month = _month(visit)
    report = _report(visit, month)
    keys = [
        {**key, "name": key_name(key), "models": [_named(model) for model in key["models"]]}
        for key in report.keys
    ]
    values = {"month": month, "months": _months(visit.today), "report": report, "keys": keys}
    return Rendered("report.html", values)


def _named(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "name": model_name(model)}


def download_html(visit: Visit) -> Reply:
    """The page that `airoxy stats --report month --format html` writes."""
    month = _month(visit)
    text = report_page(_report(visit, month), visit.now, visit.zone)
    return Download(f"airoxy-{month:%Y-%m}.html", "text/html; charset=utf-8", text.encode())


def download_csv(visit: Visit) -> Reply:
    """The lines that `airoxy stats --report month --format csv` writes."""
    month, out = _month(visit), io.StringIO(newline="")
    write_csv(_report(visit, month), out)
    return Download(f"airoxy-{month:%Y-%m}.csv", "text/csv; charset=utf-8", out.getvalue().encode())


def _report(visit: Visit, month: datetime.date) -> Report:
    return read_report(visit.db, visit.config.pricing, month, visit.today)


def _month(visit: Visit) -> datetime.date:
    text = visit.query.get("month", "")
    if not text:
        return visit.today.replace(day=1)
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if not found or not 1970 < int(found[1]) < 9999:
        raise InvalidInput("A month looks like 2026-11.")
    return datetime.date(int(found[1]), int(found[2]), 1)


def _months(today: datetime.date) -> list[datetime.date]:
    found = [today.replace(day=1)]
    while len(found) < _MONTHS:
        found.append((found[-1] - datetime.timedelta(1)).replace(day=1))
    return found


def show_prices(visit: Visit) -> Reply:
    """The price table, and what has no price in it."""
    return Rendered("prices.html", {"prices": prices.document(visit.config, visit.db)})


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
