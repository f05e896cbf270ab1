"""A client key as it is shown: with what it has used of its limits, and whether it is let in."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.core.limits.measures import Use
from airoxy.core.limits.table import LIMITS
from airoxy.core.limits.units import MONEY
from airoxy.store.limits import recorded_use, recorded_use_of_keys, spent_by_keys
from airoxy.store.usage import days
from airoxy.store.usage.last_use import last_use, last_uses
from airoxy.views.formats import dollars
from airoxy.views.times import with_times, zoned_moment

Row = Mapping[str, Any]


def with_use(
    db: apsw.Connection, key: Row, now: float, elsewhere: Mapping[int, float] | None = None
) -> dict[str, Any]:
    """The key with what it has used of its limits and when last, as far as the usage log tells, and
    only those of its old secrets that are still good. `elsewhere`: when keys were used last on
    other hosts."""
    use, last = recorded_use(db, key["id"], now), last_use(db, key["id"])
    return _with_use(key, use, _later(last, (elsewhere or {}).get(key["id"])), now)


def list_with_use(
    db: apsw.Connection,
    listed: Iterable[Row],
    now: float,
    spent: Mapping[int, Mapping[str, int]] | None = None,
    uses: Mapping[int, float] | None = None,
    elsewhere: Mapping[int, float] | None = None,
) -> list[dict[str, Any]]:
    """The same of many keys: what they have `spent` and their last `uses` are read at once, unless
    they are known."""
    if spent is None:
        today = days.today(db, now)
        spent = spent_by_keys(db, today, today + datetime.timedelta(1))
    if uses is None:
        uses, _ = last_uses(db)
    use = recorded_use_of_keys(db, now, spent)
    other = elsewhere or {}
    return [
        _with_use(key, use(key["id"]), _later(uses.get(key["id"]), other.get(key["id"])), now)
        for key in listed
    ]


def _later(one: float | None, other: float | None) -> float | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _with_use(key: Row, use: Use, last: float | None, now: float) -> dict[str, Any]:
    old = [each for each in key["old_secrets"] if each["until"] > now]
    return {**key, **by_field(use), "last_used_at": last, "old_secrets": old}


def used(db: apsw.Connection, number: int, now: float) -> dict[str, int | None]:
    """What a key or group has used, by field; `number` is that of a Holder."""
    return by_field(recorded_use(db, number, now))


def by_field(use: Use) -> dict[str, int | None]:
    """What was used, by the names that it has in JSON."""
    measures = (limit.measure for limit in LIMITS)
    return {each.field: each.used(use) for each in measures if each and each.field}


class Meter(NamedTuple):
    """A limit and what is used of it; `name` says what it limits, `exact` what is used to the last
    digit."""

    name: str
    used: str
    limit: str
    share: float
    exact: str


def meters(key: Row, zone: datetime.tzinfo) -> list[Meter]:
    """Those of the limits of which the use is told, of a key or group `with_use`."""
    found = []
    for limit in LIMITS:
        most = key.get(limit.column)
        if most is not None and limit.measure and limit.measure.field:
            amounts = key[limit.measure.field], most
            exact = [limit.unit.show(amount, zone) for amount in amounts]
            told = [dollars(amount) for amount in amounts] if limit.unit is MONEY else exact
            share = amounts[0] / most
            found.append(Meter(limit.label, told[0], told[1], share, " of ".join(exact)))
    return found


def state(key: Row, now: float) -> str:
    """Whether the key is let in."""
    if not key["is_active"]:
        return "disabled"
    return "expired" if key["expires_at"] is not None and key["expires_at"] <= now else "active"


def document(key: Row) -> dict[str, Any]:
    """The key as JSON has it."""
    old = [with_times(each, ("until",)) for each in key["old_secrets"]]
    return {**with_times(key, ("created_at", "expires_at", "last_used_at")), "old_secrets": old}


def old_secrets(key: Row, zone: datetime.tzinfo) -> str:
    """Which of the secrets that it had before are still good, of a key `with_use`."""
    return ", ".join(
        f"{each['masked']} until {zoned_moment(each['until'], zone)}" for each in key["old_secrets"]
    )
