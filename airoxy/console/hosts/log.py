"""The usage log of all hosts, a page of it after the other.

A page begins where the one before ended: `before` is the id of this host's last request on it, and
`others` that of each other host.
"""

from __future__ import annotations

import datetime
import heapq
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airoxy.console.filters import find_request
from airoxy.console.hosts.others import FoundRows, LogSums
from airoxy.console.hosts.sight import Sight, others_of, sight_of
from airoxy.console.visit import Visit
from airoxy.errors import AiroxyError, InvalidInput, NotFound
from airoxy.store.usage import requests
from airoxy.store.usage.requests import Filter
from airoxy.views.times import rfc3339

#: The others' log is looked through for so many times as long: PostgreSQL is asked day by day.
_OF_OTHERS = 5
#: A host's id begins with as many digits that no other one's does.
_DIGITS = 12
_MARKS = re.compile(rf"[0-9a-f-]{{{_DIGITS}}}:[0-9]{{1,18}}", re.ASCII)

Requests = list[dict[str, Any]]


@dataclass(frozen=True)
class LogPage:
    """`following` is what the query of the next page says, None where there is none; where not all
    was looked through, `searched_from` is from when on it was (Unix time)."""

    requests: Requests
    following: dict[str, str] | None = None
    searched_from: float | None = None


def log_page(
    visit: Visit,
    sight: Sight,
    limit: int,
    wanted: Filter,
    *,
    before: int | None = None,
    patience: float | None = None,
) -> LogPage:
    """The newest that are `wanted`, of the hosts that are meant; with `patience` (seconds) perhaps
    not all of them. Raises AiroxyError."""
    marks = _marks(visit.query.get("others", ""))
    found = _of_others(visit, sight, limit + 1, wanted, marks, patience)
    own, further = _own(visit, sight, limit + 1, wanted, before, patience)
    rows = [*heapq.merge(own, *found.hosts, key=lambda row: -_ended_ms(row))]
    start = None if sight.is_own else _all_found_from(visit, found, further)
    if start is not None:
        rows = [row for row in rows if _began_ms(row) >= start]
    if len(rows) > limit:
        following = _following(visit, sight, rows[:limit], found, before)
        return LogPage(_told(rows[:limit]), following)
    if start is not None:
        return LogPage(_told(rows), {"until": rfc3339(start / 1000) or ""}, start / 1000)
    if further is not None:
        at = requests.came_at(visit.db, further)
        return LogPage(_told(rows), {"before": str(further)}, at)
    return LogPage(_told(rows))


def one_of_log(visit: Visit, text: str) -> dict[str, Any]:
    """A row of the usage log by its number and its host, this one unless another is named. Raises
    AiroxyError."""
    sight = sight_of(visit)
    if sight.member is None or sight.chosen in (None, sight.own):
        row = find_request(visit, text)
        return {"host": sight.own, **row} if sight.is_fleet else row
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        row_of = others_of(visit).request(visit.db, sight.member, sight.chosen or "", int(text))
        if row_of is not None:
            return row_of
    raise NotFound(f"There is no request {text[:40]} of {sight.chosen} in the log.")


def hours(visit: Visit, wanted: Filter) -> tuple[Requests, Sight]:
    """The sums of TOTALS of each hour of the hosts that are meant. Raises AiroxyError."""
    sight = sight_of(visit)
    others: LogSums = ()
    if sight.member is not None and sight.wants_others:
        try:
            others = others_of(visit).quarters(sight.member, sight.chosen, wanted)
        except AiroxyError as error:
            sight.alone(error)
    first = sight.member.first if sight.member is not None and not sight.is_own else None
    if sight.wants_others and sight.chosen is not None:
        first = requests.last_id(visit.db)  # none of this host's
    rows = requests.totals_by_hour(visit.db, wanted, zone=visit.zone, after_id=first, others=others)
    return rows, sight


def _told(rows: Requests) -> Requests:
    return [{name: value for name, value in row.items() if name != "of"} for row in rows]


def _of_others(
    visit: Visit,
    sight: Sight,
    limit: int,
    wanted: Filter,
    marks: Mapping[str, int] | None,
    patience: float | None,
) -> FoundRows:
    if sight.member is None or sight.is_own:
        return FoundRows((), {})
    end = time.monotonic() + _OF_OTHERS * (patience or 0.0)
    try:
        return others_of(visit).log(
            visit.db, sight.member, sight.chosen, limit, wanted, marks,
            lambda: patience is not None and time.monotonic() >= end,
        )  # fmt: skip
    except AiroxyError as error:
        sight.alone(error)
        return FoundRows((), {})


def _own(
    visit: Visit,
    sight: Sight,
    limit: int,
    wanted: Filter,
    before: int | None,
    patience: float | None,
) -> tuple[Requests, int | None]:
    """This host's, and before which id there may be more that nobody has looked for."""
    if sight.member is not None and sight.chosen not in (None, sight.own):
        return [], None
    if patience is None:
        rows, further = (
            requests.newest(visit.db, limit=limit, wanted=wanted, before_id=before),
            None,
        )
    else:
        end = time.monotonic() + patience
        rows, further = requests.search(
            visit.db, limit=limit, wanted=wanted, before_id=before,
            give_up=lambda: time.monotonic() >= end,
        )  # fmt: skip
    if sight.member is None:
        return rows, further
    # A database that began as another host's copy has that one's requests, too.
    first = 0 if sight.is_own else sight.member.first
    own = [{"host": sight.own, **row} for row in rows if row["id"] > first]
    return own, further if further is not None and further > first else None


def _following(
    visit: Visit, sight: Sight, shown: Requests, found: FoundRows, before: int | None
) -> dict[str, str]:
    last = {row.get("of", ""): row["id"] for row in shown}
    if "" not in last and before is None and sight.wants_others:
        before = requests.last_id(visit.db) + 1
    query = {"before": str(last.get("", before or 0))}
    if found.marks:
        marks = {host: last.get(host, mark + 1) - 1 for host, mark in found.marks.items()}
        query["others"] = ",".join(f"{host[:_DIGITS]}:{mark}" for host, mark in marks.items())
    return query


def _marks(text: str) -> dict[str, int] | None:
    """Raises InvalidInput."""
    if not text:
        return None
    words = text.split(",")
    if not all(map(_MARKS.fullmatch, words)):
        raise InvalidInput("others: take it from the page before.")
    return {host: int(mark) for host, _, mark in (word.partition(":") for word in words)}


def _all_found_from(visit: Visit, found: FoundRows, further: int | None) -> int | None:
    """From when on (milliseconds) no request is missing, where not all was looked through. Own ones
    before `further` had ended before that one did, and so begun."""
    ends = [] if found.searched_from is None else [found.searched_from]
    if further is not None:
        ends += map(_ended_ms, requests.newest(visit.db, limit=1, after_id=further - 1))
    return max(ends, default=None)


def _began_ms(row: Mapping[str, Any]) -> int:
    return round(datetime.datetime.fromisoformat(row["requested_at"]).timestamp() * 1000)


def _ended_ms(row: Mapping[str, Any]) -> int:
    return _began_ms(row) + int(row["duration_ms"])
