"""The log: requests by filters that stand in the URL, and all that is known of one of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from airoxy.console.filters import log_filter
from airoxy.console.forms import number_of
from airoxy.console.hosts.log import LogPage, log_page, one_of_log
from airoxy.console.hosts.sight import Sight, sight_of
from airoxy.console.pages.figures import request_lines
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, Visit
from airoxy.errors import AiroxyError
from airoxy.store.usage import costs

_ON_A_PAGE = 100
#: So long is looked for what is rare; then the page says how far it has got (seconds).
_PATIENCE = 0.2
#: The filters, as they stand in the URL.
FILTERS = ("host", "q", "key", "token", "group", "model", "status", "since", "until")
_STATUSES = (("", "Any status"), ("failed", "Failed"), ("2xx", "200 to 299"),
             ("4xx", "400 to 499"), ("429", "429"), ("5xx", "500 to 599"))  # fmt: skip
_SINCE = (("", "Any time"), ("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"))


def show_log(visit: Visit, patience: float = _PATIENCE) -> Reply:
    """The newest requests that the filters let through, a page of them."""
    typed = {name: visit.query.get(name, "").strip() for name in FILTERS}
    given = {name: text for name, text in typed.items() if text}
    # What goes on is told of this host.
    here = {name: text for name, text in given.items() if name != "host"}
    trouble, found, sight = "", LogPage([]), Sight()
    try:
        sight = sight_of(visit)
        before = visit.query.get("before")
        found = log_page(
            visit, sight, _ON_A_PAGE, log_filter(visit),
            before=number_of(before, "request") if before else None, patience=patience,
        )  # fmt: skip
    except AiroxyError as error:
        trouble = error.message
    values = {
        "requests": request_lines(visit, found.requests),
        "typed": typed,
        "given": given,
        "statuses": _STATUSES,
        "periods": _SINCE,
        "trouble": trouble,
        "older": urlencode({**given, **found.following}) if found.following else "",
        "searched": found.searched_from,
        "newest": urlencode(given) if visit.query.get("before") else "",
        "following": "follow" in visit.query,
        "follow": urlencode({**given, "follow": "1"}),
        "live": f"/api/live?{urlencode({'only': 'rows', **here})}",
        "oldest": costs.oldest_day(visit.db, visit.zone),
        "sight": sight,
    }
    return Rendered("log.html", values, 400 if trouble else 200)


def show_request(visit: Visit) -> Reply:
    """All that the row of one request says."""
    row = one_of_log(visit, visit.params["number"])
    (line,) = request_lines(visit, [row])
    return Rendered("request.html", {"request": line, "facts": _facts(row)})


def _facts(row: dict[str, Any]) -> list[tuple[str, Any]]:
    told = ("id", "requested_at", "api_key_id", "api_key_name", "token_id", "token_name",
            "cost_nanousd", "error_message", "status_code")  # fmt: skip
    return [
        (_LABELS.get(name, name.replace("_", " ")), value)
        for name, value in row.items()
        if name not in told and value not in (None, 0, False, "")
    ]


#: Where the name of a column does not say it.
_LABELS = {"is_stream": "streamed", "is_estimate": "estimated", "ttfb_ms": "first byte after (ms)",
           "duration_ms": "took (ms)"}  # fmt: skip

ROUTES = (page("/log", show_log), page("/log/{number}", show_request))
