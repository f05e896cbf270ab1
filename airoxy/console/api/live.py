"""What goes on, live, over the API: events for programs and for the console's own pages."""

from __future__ import annotations

from airoxy.console.api.operation import Operation
from airoxy.console.api.usage import FILTERS
from airoxy.console.filters import log_filter
from airoxy.console.live.look import MOST_ROWS
from airoxy.console.live.view import View
from airoxy.console.visit import Visit, Watching
from airoxy.errors import InvalidInput
from airoxy.store.schema import snapshot
from airoxy.store.usage import requests

_ONLY = ("numbers", "rows")
_NUMBERS = {
    "requests_per_second": "requests that ended, in the mean of ten seconds; null in the first",
    "streams_open": "answers that are being streamed",
    "tokens_ready": "upstream tokens that could be used now",
    "log_rows_waiting": "rows of the usage log that are not written yet",
    "server": "ok, unavailable (no request can be served) or silent; null before it was asked",
    "trouble": "what the server says where not all is well; null",
    "requests_today": "requests of today",
    "failed_today": "those that failed",
    "spent_today_nanousd": "what was spent today, in billionths of a dollar",
    "spent_today": "the same as the commands show it",
}


def watch(visit: Visit) -> Watching:
    """From now on, or from a row on that the query or Last-Event-ID names."""
    only = visit.query.get("only") or ""
    if only and only not in _ONLY:
        raise InvalidInput(f"only: {only[:20]!r} is none of {', '.join(_ONLY)}.")
    wanted, after = log_filter(visit), _after(visit)
    with snapshot(visit.db):
        position = requests.last_id(visit.db)
        newest = [] if after is None else requests.newest(visit.db, limit=MOST_ROWS, wanted=wanted)
    missed = tuple(row for row in reversed(newest) if row["id"] > (after or 0))
    return Watching(
        View(visit.visitor, only != "rows", only != "numbers", wanted, position, missed)
    )


def _after(visit: Visit) -> int | None:
    """The last row that is known already. Raises InvalidInput."""
    text = visit.last_event_id or visit.query.get("after") or ""
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidInput("after: the id of a row has to be a number.")
    return int(text) if text else None


_QUERY = {
    "only": "numbers or rows (both)",
    "after": "the id of the last row that is known already, as Last-Event-ID has it (the newest)",
    **FILTERS,
}
_EVENTS = (
    "`numbers`: an object with "
    + ", ".join(f"{name} ({what})" for name, what in _NUMBERS.items())
    + "; `rows`: `rows` as /api/logs has them, the oldest first, and `left_out`, true where they"
    " were too many; `end`: `reason`, which is logged_out, replaced or closing"
)
OPERATIONS = (
    Operation(
        "GET", "/api/live", watch, "What goes on, as server-sent events", query=_QUERY,
        content_type="text/event-stream", told=_EVENTS,
    ),
)  # fmt: skip
