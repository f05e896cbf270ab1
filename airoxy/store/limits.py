"""The limits of client keys, and what of them has been used by the usage log and its sums.

Invariant: what a key has spent is what its sums say, so that it is right after a restart and after
costs were computed anew.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import day_number, day_of
from airoxy.core.billing.usage import PER_MINUTE
from airoxy.core.limits.measures import MINUTE, PERIODS, Use
from airoxy.core.limits.table import LIMITS, Limits
from airoxy.core.request.paths import CHAT, MESSAGES
from airoxy.errors import Conflict
from airoxy.store.keys import no_key
from airoxy.store.schema import among, run, transaction
from airoxy.store.usage.first_tables import BLOCK

#: The limits of a key, by their columns, and what else may be set.
_LIMITS = {limit.column: limit for limit in LIMITS}
SETTABLE = (*_LIMITS, "note", "name", "pool")

#: A request that came longer ago and ended in the last minute is not looked for (milliseconds).
_LONGEST_MS = 600_000


class SecondOfUse(NamedTuple):
    """What the usage log has of one second, a Unix time."""

    second: int
    requests: int
    tokens: int


def set_limits(db: apsw.Connection, key_id: int, changes: Mapping[str, Any]) -> None:
    """Change those of SETTABLE that are named; None takes one away. Raises NotFound, Conflict."""
    values = {name: changes[name] for name in SETTABLE if name in changes}
    for name, value in values.items():
        if name in _LIMITS and value is not None:
            values[name] = _LIMITS[name].unit.pack(value)
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


def limits_in_force(db: apsw.Connection, ids: Collection[int] | None = None) -> dict[int, Limits]:
    """Those of the keys (of these ids) that have any, by the key's id."""
    columns = ", ".join(_LIMITS)
    rows = run(
        db,
        f"SELECT id, {columns} FROM api_keys WHERE is_active AND removed_at IS NULL"
        f" AND coalesce({columns}) IS NOT NULL AND {among(ids)}",
    )
    return {
        key_id: Limits(
            **{
                limit.name: limit.unit.unpack(value)
                for limit, value in zip(LIMITS, values, strict=True)
            }
        )
        for key_id, *values in rows
    }


def spent(db: apsw.Connection, key_id: int, today: datetime.date) -> dict[str, int]:
    """What the key's requests have cost in each of PERIODS, by its name, in nano-dollars. The days
    are asked for one by one, because the sums are in the order of days and then of keys."""
    first = [day_number(period.first(today)) for period in PERIODS]
    days = ", ".join(map(str, range(min(first), day_number(today) + 1)))
    sums = ", ".join(
        f"ifnull(sum(cost_nanousd) FILTER (WHERE day >= {number}), 0)" for number in first
    )
    (row,) = run(
        db, f"SELECT {sums} FROM daily WHERE day IN ({days}) AND api_key_id = ?", (key_id,)
    )
    return {period.name: cost for period, cost in zip(PERIODS, row, strict=True)}


def recorded_use(db: apsw.Connection, key_id: int, now: float) -> Use:
    """What the key has used, as far as it has been written; nothing is held in it."""
    minute = last_minute(db, key_id, now)
    return Use(
        spent(db, key_id, day_of(now)),
        requests=[second.requests for second in minute],
        tokens=[second.tokens for second in minute],
    )


def last_minute(db: apsw.Connection, key_id: int, now: float) -> list[SecondOfUse]:
    """What the log has of the key's last minute, in the order of time: a request when it came,
    tokens when they were counted, which is at its end. Requests that nobody was asked (such as
    those that were refused) are not among them; nor are, of tokens, the results of batches."""
    since = (int(now) - MINUTE + 1) * 1000
    rows = run(
        db,
        "SELECT requested_at, requested_at + duration_ms,"
        f" iif(rtrim(endpoint, '/') IN ('{MESSAGES}', '{CHAT}'), {' + '.join(PER_MINUTE)}, 0)"
        " FROM (SELECT DISTINCT block FROM blocks WHERE api_key_id = ?1 AND newest >= ?3) AS b"
        f" CROSS JOIN requests AS r ON r.id BETWEEN b.block * {BLOCK}"
        f" AND b.block * {BLOCK} + {BLOCK - 1}"
        " WHERE r.api_key_id = ?1 AND r.attempts AND requested_at + duration_ms >= ?2",
        (key_id, since, since - _LONGEST_MS),
    )
    came = [SecondOfUse(at // 1000, 1, 0) for at, _, _ in rows if at >= since]
    counted = [SecondOfUse(end // 1000, 0, tokens) for _, end, tokens in rows if tokens]
    return [each for each in sorted(came + counted) if each.second <= now]
