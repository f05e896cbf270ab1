"""The log: requests by filters that stand in the URL, and all that is known of one of them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from airoxy.console.forms import number_of
from airoxy.console.pages.figures import request_lines
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.errors import AiroxyError, InvalidInput, NotFound
from airoxy.store import keys, tokens
from airoxy.store.usage import costs, requests
from airoxy.views.times import typed_moment

_ON_A_PAGE = 100
#: The filters, as they stand in the URL.
FILTERS = ("q", "key", "token", "model", "status", "since", "until")
_STATUSES = (("", "Any status"), ("failed", "Failed"), ("2xx", "200 to 299"),
             ("4xx", "400 to 499"), ("429", "429"), ("5xx", "500 to 599"))  # fmt: skip
_SINCE = (("", "Any time"), ("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"))


def show_log(visit: Visit) -> Reply:
    """The newest requests that the filters let through, a page of them."""
    typed = {name: visit.query.get(name, "").strip() for name in FILTERS}
    given = {name: text for name, text in typed.items() if text}
    trouble, rows = "", []
    try:
        before = visit.query.get("before")
        rows = requests.newest(
            visit.db,
            limit=_ON_A_PAGE + 1,
            wanted=wanted(visit, given),
            before_id=number_of(before, "request") if before else None,
        )
    except AiroxyError as error:
        trouble = error.message
    shown, more = rows[:_ON_A_PAGE], len(rows) > _ON_A_PAGE
    values = {
        "requests": request_lines(visit, shown),
        "typed": typed,
        "given": given,
        "statuses": _STATUSES,
        "periods": _SINCE,
        "trouble": trouble,
        "older": urlencode({**given, "before": shown[-1]["id"]}) if more else "",
        "newest": urlencode(given) if visit.query.get("before") else "",
        "following": "follow" in visit.query,
        "follow": urlencode({**given, "follow": "1"}),
        "oldest": costs.oldest_day(visit.db, visit.zone),
    }
    return Rendered("log.html", values, 400 if trouble else 200)


def wanted(visit: Visit, given: dict[str, str]) -> requests.Filter:
    """Raises InvalidInput and NotFound for a filter that cannot be understood."""
    q, status = given.get("q", ""), given.get("status", "")
    found: dict[str, Any] = {
        "key_id": _id_of(given["key"], keys.names(visit.db), "key") if "key" in given else None,
        "token_id": (
            _id_of(given["token"], tokens.names(visit.db), "token") if "token" in given else None
        ),
        "model": given.get("model"),
        "failed": True if status == "failed" else None,
        "statuses": _range(status) if status not in ("", "failed") else None,
        **{f"{name}_ms": _moment(visit, given.get(name), name) for name in ("since", "until")},
    }
    if q.startswith("req_"):
        found["request_id"] = q
    elif q:
        found |= _searched(visit, q)
    return requests.Filter(**found)


def _searched(visit: Visit, q: str) -> dict[str, Any]:
    """A word without a field is a key, a token, or else a part of a model's name."""
    for field, names in (("key_id", keys.names(visit.db)), ("token_id", tokens.names(visit.db))):
        ids = [number for number, name in names.items() if name.lower() == q.lower()]
        if ids:
            return {field: ids[-1]}
    return {"model": q if set("*?") & set(q) else f"*{q}*"}


def _id_of(text: str, names: dict[int, str], what: str) -> int:
    ids = [number for number, name in names.items() if name == text]
    if ids:
        return ids[-1]
    if text.isascii() and text.isdecimal() and int(text[:17]) in names:
        return int(text[:17])
    raise NotFound(f"There is no {what} {text!r}.")


def _range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-5])(?:xx|([0-9]{2}))", text, re.ASCII)
    if not found:
        raise InvalidInput("A status looks like 429 or 5xx.")
    first = int(found[1]) * 100 + int(found[2] or 0)
    return first, first + (1 if found[2] else 100)


def _moment(visit: Visit, text: str | None, name: str) -> int | None:
    return round(typed_moment(text, visit.now, name, visit.zone) * 1000) if text else None


def show_request(visit: Visit) -> Reply:
    """All that the row of one request says."""
    number = number_of(visit.params["number"], "request")
    rows = requests.newest(visit.db, limit=1, after_id=number - 1)
    if not rows or rows[0]["id"] != number:
        raise NotFound("This request has no row, or none any more.")
    (line,) = request_lines(visit, rows)
    return Rendered("request.html", {"request": line, "facts": _facts(rows[0])})


def _facts(row: dict[str, Any]) -> list[tuple[str, Any]]:
    told = ("id", "requested_at", "api_key_id", "api_key_name", "token_id", "token_name",
            "cost_nanousd", "error_message", "status_code")  # fmt: skip
    return [
        (name.replace("_", " "), value)
        for name, value in row.items()
        if name not in told and value not in (None, 0, False, "")
    ]


ROUTES = (page("/log", show_log), page("/log/{number}", show_request))
