"""An upstream token as it is shown: its state in words, its quota windows, its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.core.pool import Scope
from airoxy.views.times import span, with_times

_TIMES = ("inactive_since", "expires_at", "refreshed_at", "retry_refresh_at",
          "refresh_interrupted_at", "last_used_at", "created_at")  # fmt: skip

Row = Mapping[str, Any]

#: A period, the limit of what may be spent in it, and what was.
SPENDING = (
    ("today", "spend_per_day_nanousd", "spent_today_nanousd"),
    ("this month", "spend_per_month_nanousd", "spent_this_month_nanousd"),
)


def document(row: Row) -> dict[str, Any]:
    """The token as JSON has it."""
    told = with_times({**row, "last_used_at": last_use(row)}, _TIMES)
    told["coolings"] = [with_times(each, ("until",)) for each in row["coolings"]]
    told["quota"] = [with_times(each, ("resets_at", "seen_at")) for each in row["quota"]]
    return told


def state(row: Row, now: float) -> str:
    """Whether the token can be used, and if not why."""
    if not row["is_readable"]:
        return "unreadable: its key cannot be found"
    if not row["is_active"]:
        return f"inactive: {row['inactive_reason']}" if row["inactive_reason"] else "disabled"
    if row["expires_at"] and row["expires_at"] <= now:
        return "expired"
    for period, limit, spent in SPENDING:
        if row[limit] is not None and row[spent] >= row[limit]:
            return f"spent: its limit of {period} is reached"
    coolings = [
        f"cooling {_scope(cooling)}{span(cooling['until'] - now)} ({cooling['reason']})"
        for cooling in row["coolings"]
    ]
    doubts = ["refresh interrupted"] if row["refresh_interrupted_at"] else []
    return ", ".join((coolings or ["ready"]) + doubts)


def quota(row: Row) -> str:
    """The share that is used of each quota window, in a few words."""
    return ", ".join(f"{each['window']} {each['used']:.0%}" for each in row["quota"])


def _scope(cooling: Row) -> str:
    scope = str(Scope(cooling["group"], cooling["model_class"]))
    return f"{scope} " if scope else ""


def last_use(row: Row) -> float | None:
    used: int | None = row["last_used_at"]
    return used / 1e9 if used else None
