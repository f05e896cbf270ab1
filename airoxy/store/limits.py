"""The limits of client keys, and what the account says has been used of them.

The law: what a key has spent is what its sums say, so that it is right after a restart, and after
costs were computed anew.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import day_number
from airoxy.core.limits import MINUTE, Limits
from airoxy.errors import Conflict
from airoxy.store.keys import LIMITS, no_key
from airoxy.store.migrations import BLOCK
from airoxy.store.schema import run, transaction

#: The limits, and what else of a key may be set.
SETTABLE = (*LIMITS, "note", "name")

#: A request that came longer ago and ended in the last minute is not looked for (milliseconds).
_LONGEST_MS = 600_000


class Spent(NamedTuple):
    """Nano-dollars."""

    today: int
    this_month: int


class Counted(NamedTuple):
    """Of one second of the log, as a Unix time."""

    second: int
    requests: int
    tokens: int


def set_limits(db: apsw.Connection, key_id: int, changes: Mapping[str, Any]) -> None:
    """Change those of SETTABLE that are named; None takes one away. `models` is a tuple. Raises
    NotFound, Conflict."""
    values = {name: changes[name] for name in SETTABLE if name in changes}
    if models := values.get("models"):
        values["models"] = " ".join(models)
    with transaction(db):
        if "name" in values and run(
            db,
            "SELECT 1 FROM api_keys WHERE name = ? AND id <> ? AND removed_at IS NULL",
            (values["name"], key_id),
        ):
            raise Conflict(f"Another key is named {values['name']!r}; choose another name.")
        assignments = ", ".join(f"{name} = ?" for name in values)
        if not run(
            db,
            f"UPDATE api_keys SET {assignments} WHERE id = ? AND removed_at IS NULL RETURNING 1",
            (*values.values(), key_id),
        ):
            raise no_key(key_id)


def limits_in_force(db: apsw.Connection) -> dict[int, Limits]:
    """Those of the keys that have any, by the key's id."""
    columns = ", ".join(LIMITS).replace("models", "ifnull(models, '')")
    rows = run(
        db,
        f"SELECT id, {columns} FROM api_keys WHERE is_active AND removed_at IS NULL"
        f" AND coalesce({', '.join(LIMITS)}) IS NOT NULL",
    )
    return {
        key_id: Limits(day, month, requests, tokens, running, tuple(models.split()), expires_at)
        for key_id, day, month, requests, tokens, running, models, expires_at in rows
    }


def spent(db: apsw.Connection, key_id: int, today: datetime.date) -> Spent:
    """What the key's requests of this day and of its month cost. The days are asked for one by one,
    because the sums are in the order of days and then of keys."""
    day = day_number(today)
    days = ", ".join(map(str, range(day - today.day + 1, day + 1)))
    ((of_day, of_month),) = run(
        db,
        "SELECT ifnull(sum(cost_nanousd) FILTER (WHERE day = ?1), 0), ifnull(sum(cost_nanousd), 0)"
        f" FROM daily WHERE day IN ({days}) AND api_key_id = ?2",
        (day, key_id),
    )
    return Spent(of_day, of_month)


def last_minute(db: apsw.Connection, key_id: int, now: float) -> list[Counted]:
    """What the log has of the key's last minute, in the order of time: a request when it came,
    tokens when they were counted, which is at its end. Requests that nobody was asked (such as
    those that were refused) are not among them; nor are, of tokens, the results of batches."""
    since = (int(now) - MINUTE + 1) * 1000
    rows = run(
        db,
        "SELECT requested_at, requested_at + duration_ms,"
        " iif(rtrim(endpoint, '/') = '/v1/messages', input_tokens + output_tokens"
        " + cache_write_5m_tokens + cache_write_1h_tokens, 0)"
        " FROM (SELECT DISTINCT block FROM blocks WHERE api_key_id = ?1 AND newest >= ?3) AS b"
        f" CROSS JOIN requests AS r ON r.id BETWEEN b.block * {BLOCK}"
        f" AND b.block * {BLOCK} + {BLOCK - 1}"
        " WHERE r.api_key_id = ?1 AND r.attempts AND requested_at + duration_ms >= ?2",
        (key_id, since, since - _LONGEST_MS),
    )
    came = [Counted(at // 1000, 1, 0) for at, _, _ in rows if at >= since]
    counted = [Counted(end // 1000, 0, tokens) for _, end, tokens in rows if tokens]
    return [each for each in sorted(came + counted) if each.second <= now]
