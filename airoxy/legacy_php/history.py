"""The account of a PHP installation: its log as requests, its daily statistics as sums.

The law: what counts of a day is whatever says most of it. The statistics are sums of the same
requests as the log, of which only the last days are kept. So the log's requests come as such, the
statistics add what they have beyond those, and the day's total adds what it has beyond both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import apsw

from airoxy.calendar import DAY_MS
from airoxy.core.billing.cost_inputs import UNKNOWN
from airoxy.core.oauth import clean
from airoxy.legacy_php.imports import Group, Imports
from airoxy.legacy_php.source import Counts, OldRequest, old_days, old_requests
from airoxy.store.schema import run
from airoxy.store.usage import requests

#: Whose requests those are whose key is not known: the statistics have none, others are gone.
NOBODY = 0
_BATCH = 1000
#: What of an endpoint is kept.
_ENDPOINT_LENGTH = 200

# What is added to the sums, as the trigger of `requests` adds.
_ADD = """
INSERT INTO daily (day, api_key_id, token_id, model, requests, failed, input_tokens, output_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, web_search_requests,
    cost_nanousd)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, ?)
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    failed = failed + excluded.failed,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cost_nanousd = cost_nanousd + excluded.cost_nanousd
"""


@dataclass
class History:
    """What was taken over; `undated` requests could not be."""

    requests: int = 0
    undated: int = 0
    sums: int = 0


def take_history(
    source: apsw.Connection,
    db: apsw.Connection,
    imports: Imports,
    keys: Mapping[int, int],
    tokens: Mapping[int, int],
) -> History:
    """What is new since the last time; `keys` and `tokens` are the ids here by the ids there."""
    history = History()
    counted = imports.counted()
    earlier = {day for day, _, _ in counted}
    last = int(imports.find("request", "last") or 0)
    found = old_requests(source, last)
    while batch := list(islice(found, _BATCH)):
        rows = [old for old in batch if isinstance(old, OldRequest)]
        requests.append(db, [_row(old, keys, tokens) for old in rows])
        for old in rows:
            group = (old.requested_at_ms // DAY_MS, old.token_id, old.model or "")
            counted[group] = counted[group].plus(old.counts)
            last = old.row
        history.requests += len(rows)
        history.undated += len(batch) - len(rows)
    imports.remember("request", "last", str(last))
    for (day, token, model), missing in _missing(source, counted, earlier):
        run(db, _ADD, (day, NOBODY, tokens.get(token or 0, 0), model, *missing))
        history.sums += 1
    imports.remember_counted(counted)
    return history


def _row(old: OldRequest, keys: Mapping[int, int], tokens: Mapping[int, int]) -> requests.Row:
    counts = old.counts
    return requests.Row(
        requested_at_ms=old.requested_at_ms,
        api_key_id=keys.get(old.api_key_id or 0, NOBODY),
        token_id=tokens.get(old.token_id or 0),
        endpoint=old.endpoint[:_ENDPOINT_LENGTH],
        model=old.model,
        is_stream=old.is_stream,
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_write_5m_tokens=counts.cache_write_tokens,
        cache_write_1h_tokens=0,
        cache_read_tokens=counts.cache_read_tokens,
        web_search_requests=0,
        cost_nanousd=counts.cost_nanousd,
        status_code=old.status_code,
        error_message=clean(old.error_message) if old.error_message else None,
        ending="complete" if old.status_code else "upstream_failed",
        attempts=1,
        ttfb_ms=None,
        duration_ms=old.duration_ms,
        request_id=None,
        basis=UNKNOWN,
    )


def _missing(
    source: apsw.Connection, counted: dict[Group, Counts], earlier: Collection[int]
) -> Iterator[tuple[Group, Counts]]:
    """What the statistics have beyond what is `counted`, which it is then."""
    parts, totals = _statistics(source)
    have, there = _by_day(counted), _by_day(parts)
    # A token that was deleted there leaves its sums without a token: those are not new.
    done = {
        day for day in earlier if have[day].requests >= there[day].at_least(totals[day]).requests
    }
    for group, counts in parts.items():
        missing = counts.beyond(counted[group])
        if group[0] not in done and _matters(missing, counts):
            counted[group] = counted[group].plus(missing)
            yield group, missing
    have = _by_day(counted)
    for day, counts in totals.items():
        missing, group = counts.beyond(have[day]), (day, None, "")
        if day not in done and _matters(missing, counts):
            counted[group] = counted[group].plus(missing)
            yield group, missing


def _matters(missing: Counts, whole: Counts) -> bool:
    """A nano-dollar for each request is rounding."""
    return any(missing[:-1]) or missing.cost_nanousd > whole.requests


def _statistics(source: apsw.Connection) -> tuple[dict[Group, Counts], dict[int, Counts]]:
    """The sums of each group, and of each day as a whole. A row that is there twice was computed
    twice, because unique keys let NULLs pass: the larger one counts."""
    parts: dict[Group, Counts] = defaultdict(Counts)
    totals: dict[int, Counts] = defaultdict(Counts)
    for old in old_days(source):
        if old.token_id is None and old.model is None:
            totals[old.day] = totals[old.day].at_least(old.counts)
        else:
            group = (old.day, old.token_id, old.model or "")
            parts[group] = parts[group].at_least(old.counts)
    return parts, totals


def _by_day(counted: dict[Group, Counts]) -> dict[int, Counts]:
    days: dict[int, Counts] = defaultdict(Counts)
    for (day, _, _), counts in counted.items():
        days[day] = days[day].plus(counts)
    return days
