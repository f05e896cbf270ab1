"""The limits of client keys, and what keys and groups have used by the usage log and its sums.

Invariant: what was spent is what the sums say, so that it is right after a restart and after
costs were computed anew.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apsw

from airoxy.calendar import day_number
from airoxy.core.billing.usage import PER_MINUTE
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.core.limits.measures import CALENDAR, MINUTE, PERIODS, TOTAL, Period, Use
from airoxy.core.limits.table import LIMITS, Limits
from airoxy.core.request.paths import CHAT, MESSAGES
from airoxy.store.names import set_columns
from airoxy.store.schema import among, run, transaction
from airoxy.store.usage import days
from airoxy.store.usage.blocks import each_block
from airoxy.store.usage.daily import costs_by_key
from airoxy.store.usage.first_tables import BLOCK

#: The limits of a key, by their columns, and what else may be set.
_LIMITS = {limit.column: limit for limit in LIMITS}
SETTABLE = (*_LIMITS, "note", "name", "pool", "group_id")

#: A request that came longer ago and ended in the last minute is not looked for (milliseconds).
_LONGEST_MS = 600_000


class SecondOfUse(NamedTuple):
    """What the usage log has of one second, a Unix time."""

    second: int
    requests: int
    tokens: int


def set_limits(db: apsw.Connection, key_id: int, changes: Mapping[str, Any]) -> None:
    """Change those of SETTABLE that are named; None takes one away. Raises NotFound, Conflict."""
    values = packed(changes, SETTABLE)
    with transaction(db):
        set_columns(db, "api_keys", key_id, values)
        if values.get("spend_total_nanousd") is not None:
            sum_spending(db, key_id)


def packed(changes: Mapping[str, Any], settable: Iterable[str]) -> dict[str, Any]:
    """The changes of `settable` columns, with limits as the database has them."""
    values = {name: changes[name] for name in settable if name in changes}
    for name, value in values.items():
        if name in _LIMITS and value is not None:
            values[name] = _LIMITS[name].unit.pack(value)
    return values


def limits_in_force(db: apsw.Connection, ids: Collection[int] | None = None) -> dict[int, Limits]:
    """Those of the keys (of these ids) that have any, by the key's id."""
    columns = ", ".join(_LIMITS)
    rows = run(
        db,
        f"SELECT id, {columns} FROM api_keys WHERE is_active AND removed_at IS NULL"
        f" AND coalesce({columns}) IS NOT NULL AND {among(ids)}",
    )
    return {key_id: Limits.unpacked(LIMITS, values) for key_id, *values in rows}


def spent(
    db: apsw.Connection, number: int, today: datetime.date, *, total: bool = False
) -> dict[str, int]:
    """What the requests of a key or group (its number as a Holder) have cost in each of PERIODS, by
    its name, in nano-dollars. In total only where that is asked, of one that `sum_spending` has
    been called for: a group, or a key that is limited in total."""
    costs = _spent_by_key(db, number, today) if number < GROUPS_FROM else {}
    wanted = [each for each in PERIODS if each.name not in costs and (total or each is not TOTAL)]
    if wanted:
        first = min(day_number(each.first(today)) for each in wanted)
        costs |= _costs(db, wanted, today, "spending WHERE spender = ? AND day >= ?", number, first)
    return costs


def _spent_by_key(db: apsw.Connection, key_id: int, today: datetime.date) -> dict[str, int]:
    """The days are asked for one by one, because the sums are in the order of days and then of
    keys."""
    first = min(day_number(each.first(today)) for each in CALENDAR)
    days = ", ".join(map(str, range(first, day_number(today) + 1)))
    return _costs(db, CALENDAR, today, f"daily WHERE day IN ({days}) AND api_key_id = ?", key_id)


def _costs(
    db: apsw.Connection, periods: Sequence[Period], today: datetime.date, source: str, *values: int
) -> dict[str, int]:
    sums = ", ".join(
        f"ifnull(sum(cost_nanousd) FILTER (WHERE day >= {day_number(each.first(today))}), 0)"
        for each in periods
    )
    (row,) = run(db, f"SELECT {sums} FROM {source}", values)
    return {period.name: cost for period, cost in zip(periods, row, strict=True)}


def sum_spending(db: apsw.Connection, number: int) -> None:
    """From now on `spending` has what this key or group costs, and has all that it has cost. In
    the caller's transaction."""
    run(db, "INSERT OR IGNORE INTO spenders VALUES (?)", (number,))
    if not db.changes():
        return
    whose, values = _whose(number, column="group_id")
    run(
        db,
        f"INSERT INTO spending SELECT ?, day, sum(cost_nanousd) FROM daily WHERE {whose}"
        " GROUP BY day",
        (number, *values),
    )


def _whose(number: int, column: str) -> tuple[str, tuple[int, ...]]:
    """The condition for the requests of a key or group, and its values."""
    if number == EVERYBODY + GROUPS_FROM:
        return "TRUE", ()
    if number > GROUPS_FROM:
        return f"{column} = ?", (number - GROUPS_FROM,)
    return "api_key_id = ?", (number,)


def recorded_use(db: apsw.Connection, number: int, now: float) -> Use:
    """What a key or group has used, as far as it has been written; nothing is held in it."""
    today = days.today(db, now)
    is_summed = bool(run(db, "SELECT 1 FROM spenders WHERE id = ?", (number,)))
    if number == EVERYBODY + GROUPS_FROM and not is_summed:
        costs = _costs(db, PERIODS, today, "daily")  # which is only looked at, and not limited
    else:
        costs = spent(db, number, today, total=is_summed)
    return _use(costs, last_minute(db, number, now), _rates_elsewhere(db).get(number, {}))


def _use(
    costs: Mapping[str, int], minute: Iterable[SecondOfUse], elsewhere: Mapping[str, Iterable[int]]
) -> Use:
    return Use(
        costs,
        requests=[*(second.requests for second in minute), *elsewhere.get("requests", ())],
        tokens=[*(second.tokens for second in minute), *elsewhere.get("tokens", ())],
    )


def _rates_elsewhere(db: apsw.Connection) -> dict[int, dict[str, list[int]]]:
    """Where `daily` is a view of more than this host, what the others have used of the limits of
    keys and groups per minute, by number and measure, as of the last division."""
    if not run(db, "SELECT 1 FROM temp.sqlite_schema WHERE name = 'daily'"):
        return {}
    found: dict[int, dict[str, list[int]]] = {}
    for number, measure, used in run(db, "SELECT number, measure, others FROM fleet_shares"):
        found.setdefault(number, {})[measure] = [used]
    return found


def recorded_use_of_keys(
    db: apsw.Connection, now: float, costs: Mapping[int, Mapping[str, int]]
) -> Callable[[int], Use]:
    """The same of any key, which is asked for by its id, with few looks into the database for all
    of them. `costs` are what each has cost in CALENDAR's periods, by their names."""
    minute = use_of_last_minute(db, now)
    totals = dict(
        run(
            db,
            "SELECT id, ifnull(sum(cost_nanousd), 0) FROM spenders"
            " LEFT JOIN spending ON spender = id WHERE id < ? GROUP BY id",
            (GROUPS_FROM,),
        )
    )
    elsewhere = _rates_elsewhere(db)
    nothing = {period.name: 0 for period in CALENDAR}

    def use(key_id: int) -> Use:
        total = {TOTAL.name: totals[key_id]} if key_id in totals else {}
        spent = {**nothing, **costs.get(key_id, {}), **total}
        return _use(spent, minute.get(key_id, ()), elsewhere.get(key_id, {}))

    return use


def spent_by_keys(
    db: apsw.Connection, today: datetime.date, until: datetime.date
) -> dict[int, dict[str, int]]:
    """What each key that was used has spent before `until` in those of CALENDAR that `today` is
    in."""
    names = [period.name for period in CALENDAR]
    found = costs_by_key(db, [period.first(today) for period in CALENDAR], until)
    return {key: dict(zip(names, costs, strict=True)) for key, costs in found.items()}


def last_minute(db: apsw.Connection, number: int, now: float) -> list[SecondOfUse]:
    """What the log has of the last minute of a key or group, in the order of time: a request when
    it came, tokens when they were counted, which is at its end. Requests that nobody was asked
    (such as those that were refused) are not among them; nor are, of tokens, the results of
    batches."""
    whose, values = _whose(number, column="r.group_id")
    found = _of_last_minute(db, now, whose, values, number)
    return [second for _, _, second in found]


def use_of_last_minute(db: apsw.Connection, now: float) -> dict[int, list[SecondOfUse]]:
    """The same of all keys and groups that have any, by their number, in one look."""
    found: dict[int, list[SecondOfUse]] = {}
    for key_id, group_id, second in _of_last_minute(db, now):
        for number in {key_id, EVERYBODY + GROUPS_FROM, (group_id or EVERYBODY) + GROUPS_FROM}:
            found.setdefault(number, []).append(second)
    return found


def _of_last_minute(
    db: apsw.Connection,
    now: float,
    whose: str = "TRUE",
    values: tuple[int, ...] = (),
    number: int = EVERYBODY + GROUPS_FROM,
) -> list[tuple[int, int | None, SecondOfUse]]:
    """Key, group and second, in the order of time.

    A row is written when its request ends, so that the newest blocks have all of them: it is enough
    to go back to one in which no request came that late."""
    since = (int(now) - MINUTE + 1) * 1000
    recent = "(SELECT max(b.newest) FROM blocks AS b WHERE b.block = each_block.block) >= ?"
    of_key = " AND b.api_key_id = ?" if number < GROUPS_FROM else ""
    rows = run(
        db,
        f"{each_block(go_on=recent)} SELECT r.api_key_id, r.group_id, requested_at,"
        " requested_at + duration_ms,"
        f" iif(rtrim(endpoint, '/') IN ('{MESSAGES}', '{CHAT}'), {' + '.join(PER_MINUTE)}, 0)"
        f" FROM each_block CROSS JOIN requests AS r ON r.id BETWEEN each_block.block * {BLOCK}"
        f" AND each_block.block * {BLOCK} + {BLOCK - 1}"
        f" WHERE EXISTS (SELECT 1 FROM blocks AS b WHERE b.block = each_block.block{of_key})"
        f" AND r.attempts AND requested_at + duration_ms >= ?"
        # The sign keeps SQLite from making an index of all rows for this one question.
        f" AND +{whose}",
        (since - _LONGEST_MS, *(values if of_key else ()), since, *values),
    )
    came = [(key, group, SecondOfUse(at // 1000, 1, 0)) for key, group, at, _, _ in rows
            if at >= since]  # fmt: skip
    counted = [(key, group, SecondOfUse(end // 1000, 0, tokens))
               for key, group, _, end, tokens in rows if tokens]  # fmt: skip
    found = sorted(came + counted, key=lambda each: each[2])
    return [each for each in found if each[2].second <= now]
