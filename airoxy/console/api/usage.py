"""What was used, over the API: the usage log, its sums, reports, prices and the audit trail."""

from __future__ import annotations

import datetime
import io
import re
from typing import Any

from airoxy.calendar import day_of
from airoxy.console.api.operation import Operation
from airoxy.console.visit import Download, JsonReply, Reply, Visit
from airoxy.core.report import Report
from airoxy.errors import InvalidInput, NotFound
from airoxy.store.audit.trail import read_trail
from airoxy.store.names import find_id
from airoxy.store.usage import requests
from airoxy.store.usage.daily import GROUPS
from airoxy.views import changes, json_fields, prices
from airoxy.views.report import lines
from airoxy.views.report.page import page
from airoxy.views.times import typed_moment

_MOST = 1000
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


def log(visit: Visit) -> JsonReply:
    """The newest requests; `before` is the id of the last one on the page before."""
    return JsonReply(read_log(visit, _limit(visit)))


def read_log(visit: Visit, limit: int) -> list[dict[str, Any]]:
    """The requests that the query asks for, newest first. Raises InvalidInput, NotFound."""
    before = visit.query.get("before")
    number = _number("before", before) if before else None
    return requests.newest(visit.db, limit=limit, wanted=log_filter(visit), before_id=number)


def log_filter(visit: Visit) -> requests.Filter:
    """Which requests the query asks for. Raises InvalidInput, NotFound."""
    given = {name: value for name, value in visit.query.items() if value}

    def number(name: str, table: str) -> int | None:
        return find_id(visit.db, table, given[name], removed=True) if name in given else None

    since, until = (_moment(visit, name) for name in ("since", "until"))
    return requests.Filter(
        token_id=number("token", "tokens"),
        key_id=number("key", "api_keys"),
        since_ms=None if since is None else round(since * 1000),
        until_ms=None if until is None else round(until * 1000),
        failed=True if given.get("failed") in ("1", "true", "yes") else None,
        statuses=_statuses(given["status"]) if "status" in given else None,
        model=given.get("model"),
        request_id=given.get("request"),
    )


def _statuses(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-5])(?:xx|([0-9]{2}))", text, re.ASCII)
    if not found:
        raise InvalidInput("status: a status looks like 429 or 5xx.")
    first = int(found[1]) * 100 + int(found[2] or 0)
    return first, first + (1 if found[2] else 100)


def one_request(visit: Visit) -> JsonReply:
    return JsonReply(find_request(visit, visit.params["id"]))


def find_request(visit: Visit, text: str) -> dict[str, Any]:
    """A row of the usage log by its number. Raises NotFound."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        found = requests.newest(visit.db, limit=1, after_id=int(text) - 1)
        if found and found[0]["id"] == int(text):
            return found[0]
    raise NotFound(f"There is no request {text} in the log, or not any more.")


def stats(visit: Visit) -> JsonReply:
    by = visit.query.get("by")
    wanted = _sums_wanted(visit)
    if by is None:
        return JsonReply([requests.totals(visit.db, **wanted)])
    if by not in GROUPS:
        raise InvalidInput(f"by: {by} is none of {', '.join(GROUPS)}.")
    return JsonReply(requests.totals_by(visit.db, by, **wanted))


def _sums_wanted(visit: Visit) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for name in ("since", "until"):
        when = _moment(visit, name)
        wanted[name] = None if when is None else day_of(when, visit.zone)
    for name, table in (("token", "tokens"), ("key", "api_keys")):
        text = visit.query.get(name)
        wanted[f"{name}_id"] = find_id(visit.db, table, text, removed=True) if text else None
    return wanted


def month_report(visit: Visit) -> Reply:
    """As JSON, or to be saved as HTML or CSV."""
    made, form = read_report(visit), visit.query.get("format", "json")
    name = f"airoxy-{made.month:%Y-%m}"
    if form == "html":
        body = page(made, visit.now, visit.zone).encode()
        return Download(f"{name}.html", "text/html; charset=utf-8", body)
    if form == "csv":
        out = io.StringIO()
        lines.write_csv(made, out)
        return Download(f"{name}.csv", "text/csv; charset=utf-8", out.getvalue().encode())
    if form != "json":
        raise InvalidInput(f"format: {form[:20]!r} is none of json, html, csv.")
    document = lines.document(made, visit.now)
    return JsonReply(document)


def read_report(visit: Visit) -> Report:
    """That on the month of the query, or on this one. Raises InvalidInput."""
    text = visit.query.get("month") or f"{visit.today:%Y-%m}"
    if not _MONTH.fullmatch(text) or not "1970" <= text[:4] < "9999":
        raise InvalidInput("month: a month looks like 2026-11.")
    month = datetime.date(int(text[:4]), int(text[5:]), 1)
    return lines.read_report(visit.db, visit.config.pricing, month, visit.today)


def price_table(visit: Visit) -> JsonReply:
    return JsonReply(prices.document(visit.config, visit.db))


def audit(visit: Visit) -> JsonReply:
    entries = read_trail(
        visit.db, since=_moment(visit, "since"), until=_moment(visit, "until"), limit=_limit(visit)
    )
    return JsonReply([changes.document(entry) for entry in entries])


def _limit(visit: Visit) -> int:
    number = _number("limit", visit.query.get("limit") or "50")
    if not 0 < number <= _MOST:
        raise InvalidInput(f"limit: from 1 to {_MOST}.")
    return number


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise InvalidInput(f"{name} has to be a number.")
    return int(text)


def _moment(visit: Visit, name: str) -> float | None:
    text = visit.query.get(name)
    return typed_moment(text, visit.now, name, visit.zone) if text else None


_PERIOD = {
    "since": "from then on (2h, 2026-11-22, 2026-11-22T17:30)",
    "until": "before then",
}
_WHOSE = {"key": "of this client key (id or name)", "token": "of this upstream token (id or name)"}
_LIMIT = {"limit": f"how many (50; {_MOST} at the most)"}
LOG_QUERY = {
    **_PERIOD,
    **_WHOSE,
    "failed": "true for those that failed",
    "status": "with this status (429, 5xx)",
    "model": "with this model (a glob)",
    "request": "with this request id",
    "before": "the id of the last row of the page before",
    **_LIMIT,
}
OPERATIONS = (
    Operation("GET", "/api/logs", log, "The newest requests", json_fields.REQUEST, is_list=True,
              query=LOG_QUERY),
    Operation("GET", "/api/logs/{id}", one_request, "One request", json_fields.REQUEST),
    Operation("GET", "/api/stats", stats, "Sums of usage, whole or divided", json_fields.TOTALS,
              is_list=True,
              query={**_PERIOD, **_WHOSE, "by": f"divided by one of {', '.join(GROUPS)}"}),
    Operation("GET", "/api/report", month_report, "A month's usage by key and model",
              query={"month": "2026-11 (this one)", "format": "json, html or csv"}),
    Operation("GET", "/api/prices", price_table, "The prices in force, and models without one"),
    Operation("GET", "/api/audit", audit, "Who has changed keys and tokens",
              is_list=True, query={**_PERIOD, **_LIMIT}),
)  # fmt: skip
