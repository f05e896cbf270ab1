"""What was used, over the API: the usage log and its sums."""

from __future__ import annotations

import datetime
from typing import Any

from airoxy.console.api.operation import Operation
from airoxy.console.api.paging import PAGE_OF_NEWEST, following, limit, number
from airoxy.console.filters import find_request, is_true, log_filter, moment, whose
from airoxy.console.visit import JsonReply, Visit
from airoxy.errors import InvalidInput
from airoxy.store.usage import requests
from airoxy.store.usage.daily import GROUPS
from airoxy.store.usage.past import totals_of_days
from airoxy.store.usage.requests import HOUR
from airoxy.views import json_fields
from airoxy.views.cache import cache_effect
from airoxy.views.times import typed_day, with_times


def log(visit: Visit) -> JsonReply:
    """The newest requests; `before` is the id of the last one on the page before."""
    most = limit(visit)
    rows = requests.newest(
        visit.db, limit=most + 1, wanted=log_filter(visit), before_id=number(visit, "before")
    )
    shown = rows[:most]
    more = following(visit, before=shown[-1]["id"]) if len(rows) > most else None
    return JsonReply(shown, following=more)


def one_request(visit: Visit) -> JsonReply:
    return JsonReply(find_request(visit, visit.params["id"]))


def stats(visit: Visit) -> JsonReply:
    """As `airoxy stats --json` has them; sums of all together are an array of one, too."""
    by, cache = visit.query.get("by") or None, is_true(visit, "cache")
    if by and cache:
        raise InvalidInput("cache is about all together; leave by out.")
    if by == HOUR:
        return JsonReply(_by_hour(visit))
    wanted: dict[str, Any] = {**_days(visit), **whose(visit)}
    if by is not None and by not in GROUPS:
        raise InvalidInput(f"by: {by[:20]!r} is none of {', '.join((*GROUPS, HOUR))}.")
    rows = _sums(visit, by, wanted)
    if cache:
        rows[0] |= cache_effect(visit.db, visit.config.pricing, **wanted)
    return JsonReply(rows)


def _sums(visit: Visit, by: str | None, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of one key are found without reading the others'."""
    if wanted["key_id"] is None:
        others = {name: value for name, value in wanted.items() if name != "key_id"}
        return totals_of_days(visit.db, visit.services.past, visit.today, by, **others)
    if by is None:
        return [requests.totals(visit.db, **wanted)]
    return requests.totals_by(visit.db, by, **wanted)


def _by_hour(visit: Visit) -> list[dict[str, Any]]:
    since, until = (moment(visit, name) for name in ("since", "until"))
    ids = whose(visit)
    wanted = requests.Filter(
        token_id=ids["token_id"],
        key_id=ids["key_id"],
        group_id=ids["group_id"],
        since_ms=None if since is None else round(since * 1000),
        until_ms=None if until is None else round(until * 1000),
    )
    rows = requests.totals_by_hour(visit.db, wanted, zone=visit.zone)
    return [with_times(row, (HOUR,)) for row in rows]


def _days(visit: Visit) -> dict[str, datetime.date | None]:
    found: dict[str, datetime.date | None] = {}
    for name in ("since", "until"):
        text = visit.query.get(name, "").strip()
        found[name] = typed_day(text, visit.now, name, visit.zone) if text else None
    return found


_PERIOD = {
    "since": "from then on (2h, 2026-11-22, 2026-11-22T17:30)",
    "until": "before then",
}
_WHOSE = {
    "key": "of this client key (id or name)",
    "token": "of this upstream token (id or name)",
    "group": "of the client keys of this group (id or name)",
}
FILTERS = {
    **_PERIOD,
    **_WHOSE,
    "failed": "true for those that failed, false for the others",
    "status": "with this status (429, 5xx, failed)",
    "model": "with this model (a glob)",
    "request": "with this request id",
    "q": "a request id, the name of a key, token or group, or a part of the model's",
}
OPERATIONS = (
    Operation("GET", "/api/logs", log, "The newest requests", json_fields.REQUEST, is_list=True,
              query={**FILTERS, **PAGE_OF_NEWEST}),
    Operation("GET", "/api/logs/{id}", one_request, "One request", json_fields.REQUEST),
    Operation("GET", "/api/stats", stats, "Sums of usage, whole or divided", json_fields.TOTALS,
              is_list=True,
              query={
                  **_PERIOD, **_WHOSE,
                  "by": f"divided by one of {', '.join((*GROUPS, HOUR))}, whose fields come first",
                  "cache": "true for what the prompt cache did: cache_read_share and"
                  " cache_saved_nanousd",
              }),
)  # fmt: skip
