"""What pages and API need of days that are over: it is kept (`store.usage.past`), and only that of
today is read for each of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from airoxy.console.visit import Visit
from airoxy.core.limits.measures import PERIODS, TOTAL
from airoxy.store.limits import spent_by_keys
from airoxy.store.usage.daily import costs_by_key, totals
from airoxy.store.usage.last_use import last_uses

_PERIODS = tuple(period.name for period in PERIODS if period is not TOTAL)


def month_totals(visit: Visit, of_today: Mapping[str, Any]) -> dict[str, int]:
    """The sums of this month, of which those of today are known."""
    today, first = visit.today, visit.today.replace(day=1)
    past = visit.services.past.of(
        "month", today, lambda: totals(visit.db, since=first, until=today)
    )
    return {name: count + of_today[name] for name, count in past.items()}


def spent_by_key(visit: Visit) -> dict[int, dict[str, int]]:
    """What each key that has been used has spent today, this week and this month."""
    today, db = visit.today, visit.db
    past = visit.services.past.of("keys", today, lambda: spent_by_keys(db, today, today))
    found = dict(past)
    for key, (cost,) in costs_by_key(db, [today], today + datetime.timedelta(1)).items():
        found[key] = {each: past.get(key, {}).get(each, 0) + cost for each in _PERIODS}
    return found


def last_uses_of_keys(visit: Visit) -> dict[int, float]:
    """When each key that was used was used last: `store.usage.last_use`."""
    db = visit.db
    past, block = visit.services.past.of("last uses", visit.today, lambda: last_uses(db))
    fresh, _ = last_uses(db, block)
    return {key: max(at, past.get(key, 0)) for key, at in (past | fresh).items()}
