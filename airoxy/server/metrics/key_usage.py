"""What a client key's holder is told of it: state, limits, spending, and what has failed."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import apsw

from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM, Holder, KeyLimits
from airoxy.core.limits.measures import DAY, MONTH, TOTAL, WEEK, Spend
from airoxy.core.limits.table import LIMITS
from airoxy.store import keys
from airoxy.store.limits import recorded_use, spent
from airoxy.store.usage import daily, days, requests
from airoxy.views.keys import state
from airoxy.views.times import rfc3339

#: Days that are told, and failures of the last day at the most.
_DAYS, _FAILURES = 30, 10
_OF_FAILURES = (
    "requested_at", "endpoint", "model", "status_code", "error_message", "ending", "request_id"
)  # fmt: skip
#: LiteLLM's words for periods.
_DURATIONS = {DAY.name: "1d", WEEK.name: "7d", MONTH.name: "1mo", TOTAL.name: None}

Document = dict[str, Any]


def key_usage(
    db: apsw.Connection,
    key_id: int,
    limits: KeyLimits | None,
    now: float,
    zone: datetime.tzinfo,
) -> Document:
    """All of it. Raises NotFound."""
    key = keys.find_key(db, key_id)
    today = days.today(db, now)
    costs = spent(db, key_id, today)
    since = today - datetime.timedelta(_DAYS - 1)
    by_day = daily.by_day_key_and_model(db, since, None, key_id=key_id)
    failed = requests.newest(
        db, limit=_FAILURES, key_id=key_id, failed=True, since_ms=int((now - 86_400) * 1000)
    )
    return {
        "name": key["name"],
        "state": state(key, now),
        "expires_at": rfc3339(key["expires_at"]),
        "models": key["models"],
        "limits": [
            told
            for holder in (limits.holders if limits else ())
            for told in _limits(db, holder, now, zone)
        ],
        **{
            f"spent_{period.present.replace(' ', '_')}_nanousd": costs[period.name]
            for period in (DAY, WEEK, MONTH)
        },
        "days": [
            {name: row[name] for name in ("day", "model", *daily.TOTALS)}
            for row in sorted(by_day, key=lambda row: (row["day"], row["model"] or ""))
        ],
        "errors": [_failure(row) for row in failed],
    }


def litellm_info(told: Mapping[str, Any], masked: str) -> Document:
    """The same numbers as LiteLLM has them under /key/info, for programs that read those. Its one
    budget is the key's own limit of money of which the greatest share is spent."""
    own = [each for each in told["limits"] if each["of"] == "key"]
    budgets = [each for each in own if each["period"]]
    budget = max(budgets, key=lambda each: each["used_share"], default=None)
    rates = {each["limit"]: each["most"] for each in own}
    return {
        "key": masked,
        "info": {
            "key_name": masked,
            "key_alias": told["name"],
            "spend": (budget["used"] if budget else told["spent_this_month_nanousd"]) / 1e9,
            "max_budget": budget["most"] / 1e9 if budget else None,
            "budget_duration": _DURATIONS[budget["period"]] if budget else None,
            "budget_reset_at": budget["opens_at"] if budget else None,
            "expires": told["expires_at"],
            "models": told["models"] or [],
            "rpm_limit": rates.get("requests_per_minute"),
            "tpm_limit": rates.get("tokens_per_minute"),
            "max_parallel_requests": rates.get("concurrent_requests"),
            "blocked": told["state"] != "active",
            "metadata": {},
        },
    }


def _limits(
    db: apsw.Connection, holder: Holder, now: float, zone: datetime.tzinfo
) -> list[Document]:
    """Of a group only the share is told: what the other keys spend is not this one's."""
    is_own, found = holder.number < GROUPS_FROM, []
    everybody = holder.number == EVERYBODY + GROUPS_FROM
    use = recorded_use(db, holder.number, now)
    for limit in LIMITS:
        most = getattr(holder.limits, limit.name)
        if limit.measure is None or most is None:
            continue
        period = limit.measure.period if isinstance(limit.measure, Spend) else None
        ends = math.inf if period is None else period.end(now, zone)
        used = limit.measure.used(use) if limit.measure.field else None
        found.append(
            {
                "limit": limit.column,
                "of": "key" if is_own else "everybody" if everybody else "group",
                "period": period and period.name,
                "most": most if is_own else None,
                "used": used if is_own else None,
                "used_share": None if used is None else round(used / most, 4) if most else 1.0,
                "opens_at": rfc3339(ends) if ends < math.inf else None,
            }
        )
    return found


def _failure(row: Mapping[str, Any]) -> Document:
    at = row["requested_at"]
    told = {name: row[name] for name in _OF_FAILURES}
    return told | {"requested_at": rfc3339(at / 1000) if isinstance(at, int | float) else at}
