"""What was used, over the API: the usage log and its sums."""

from __future__ import annotations

import datetime
from typing import Any

from airoxy.console.api.operation import Operation
from airoxy.console.api.paging import PAGE_OF_NEWEST, following, limit, number
from airoxy.console.filters import is_true, log_filter, milliseconds, whose
from airoxy.console.hosts.log import hours, log_page, one_of_log
from airoxy.console.hosts.sight import WHICH_HOST, Sight, sight_of, with_sums
from airoxy.console.visit import JsonReply, Visit
from airoxy.errors import InvalidInput
from airoxy.store.fleet.hosts import HOST, as_groups, with_own
from airoxy.store.fleet.membership import name_of_host
from airoxy.store.usage import requests
from airoxy.store.usage.daily import GROUPS
from airoxy.store.usage.past import totals_of_days
from airoxy.store.usage.requests import HOUR
from airoxy.store.usage.rollups.source import Chosen, one_moment
from airoxy.views import json_fields
from airoxy.views.cache import cache_effect
from airoxy.views.times import typed_day, with_times

_BY = (*GROUPS, HOST, HOUR)


def log(visit: Visit) -> JsonReply:
    """The newest requests; `before` is the id of the last one on the page before."""
    sight = sight_of(visit)
    before = number(visit, "before")
    found = log_page(visit, sight, limit(visit), log_filter(visit), before=before)
    more = following(visit, **found.following) if found.following else None
    return JsonReply(found.requests, following=more, warning=sight.trouble)


def one_request(visit: Visit) -> JsonReply:
    return JsonReply(one_of_log(visit, visit.params["id"]))


def stats(visit: Visit) -> JsonReply:
    """As `airoxy stats --json` has them; sums of all together are an array of one, too."""
    by, cache = visit.query.get("by") or None, is_true(visit, "cache")
    if by and cache:
        raise InvalidInput("cache is about all together; leave by out.")
    if by == HOUR:
        return _by_hour(visit)
    wanted: dict[str, Any] = {**_days(visit), **whose(visit)}
    if by is not None and by not in _BY:
        raise InvalidInput(f"by: {by[:20]!r} is none of {', '.join(_BY)}.")
    with with_sums(visit, wanted["since"]) as (seen, sight):
        rows = _by_host(seen, sight, wanted) if by == HOST else _sums(seen, by, wanted)
        if cache:
            rows[0] |= cache_effect(visit.db, visit.config.pricing, **wanted)
    return JsonReply(rows, warning=sight.trouble)


def _sums(visit: Visit, by: str | None, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of one key are found without reading the others'."""
    if wanted["key_id"] is None:
        others = {name: value for name, value in wanted.items() if name != "key_id"}
        return totals_of_days(visit.db, visit.services.past, visit.today, by, **others)
    if by is None:
        return [requests.totals(visit.db, **wanted)]
    return requests.totals_by(visit.db, by, **wanted)


def _by_host(visit: Visit, sight: Sight, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    with one_moment(visit.db):
        found = requests.totals(visit.db, **wanted)
        if sight.chosen is not None:
            return as_groups({sight.chosen: found})
        others = sight.shown.by_host(Chosen(**wanted)) if sight.shown else {}
    return as_groups(with_own(found, others, name_of_host(visit.db)))


def _by_hour(visit: Visit) -> JsonReply:
    wanted: dict[str, Any] = {
        **{f"{name}_ms": milliseconds(visit, name) for name in ("since", "until")},
        **whose(visit),
    }
    rows, sight = hours(visit, requests.Filter(**wanted))
    return JsonReply([with_times(row, (HOUR,)) for row in rows], warning=sight.trouble)


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
_OTHERS = {"others": "in a fleet, the same for the other hosts, as the Link header has it"}
OPERATIONS = (
    Operation("GET", "/api/logs", log, "The newest requests", json_fields.REQUEST, is_list=True,
              query={**FILTERS, **WHICH_HOST, **PAGE_OF_NEWEST, **_OTHERS}),
    Operation("GET", "/api/logs/{id}", one_request, "One request", json_fields.REQUEST,
              query={"host": "the host of the fleet that it was on (this one)"}),
    Operation("GET", "/api/stats", stats, "Sums of usage, whole or divided", json_fields.TOTALS,
              is_list=True,
              query={
                  **_PERIOD, **_WHOSE, **WHICH_HOST,
                  "by": f"divided by one of {', '.join(_BY)}, whose fields come first",
                  "cache": "true for what the prompt cache did: cache_read_share and"
                  " cache_saved_nanousd",
              }),
)  # fmt: skip
