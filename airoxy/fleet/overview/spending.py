"""What other hosts of a fleet have spent, and when they have used keys and tokens last: few
numbers, for commands that show keys, groups and tokens."""

# ruff: noqa: S608  (the SQL is put together from the tables' own words)
from __future__ import annotations

import time

from airoxy.calendar import DAY_MS
from airoxy.fleet.overview.everybody import Sums, names_of_others
from airoxy.fleet.postgres import Postgres
from airoxy.store.fleet.hosts import LastUses
from airoxy.store.fleet.usage import GROUP

#: So many of the newest requests of each host are looked at for when each key was used last; before
#: them it is the day.
_NEWEST = 500
#: What there is a sum of for each day.
_WHOSE = tuple(name for name in GROUP if name not in ("day", "model"))


def spending_of_others(
    postgres: Postgres, names: list[str], own: str, first: int, *, whole: bool
) -> Sums:
    """The costs of all hosts but one as the sums `names` have them: for each day from `first` on,
    and with `whole` for all before it, as the first day of all."""
    values = {
        **dict.fromkeys(names, "0"),
        **{name: name for name in _WHOSE},
        "day": "CASE WHEN day >= %s THEN day ELSE 0 END",
        "model": "''",
        "cost_nanousd": "sum(cost_nanousd)::bigint",
    }
    columns = ", ".join(f"{values[name]} AS {name}" for name in names)
    return postgres.run(
        f"SELECT {columns} FROM airoxy.daily WHERE host <> %s AND day >= %s"
        f" GROUP BY {names.index('day') + 1}, {', '.join(_WHOSE)}",
        (first, own, 0 if whole else first),
    )


def last_uses_by_others(postgres: Postgres, own: str, today: int) -> LastUses:
    """As far as the sums since yesterday (days since 1970) and the newest requests tell."""
    found = LastUses({}, {})
    for key, token, day in postgres.run(
        "SELECT api_key_id, token_id, max(day) FROM airoxy.daily WHERE host <> %s"
        " AND day >= %s GROUP BY api_key_id, token_id",
        (own, today - 31),
    ):
        found.note(key, token, day * DAY_MS / 1000)
    now = int(time.time() * 1000) // DAY_MS
    for key, token, at in postgres.run(
        "SELECT r.api_key_id, r.token_id, max(r.requested_at)"
        " FROM unnest(%s::int[]) AS d (day), unnest(%s::uuid[]) AS h (host),"
        " LATERAL (SELECT api_key_id, token_id, requested_at FROM airoxy.requests AS r"
        " WHERE r.day = d.day AND r.host = h.host ORDER BY r.id DESC LIMIT %s) AS r"
        " GROUP BY r.api_key_id, r.token_id",
        ([now - 1, now, now + 1], [*names_of_others(postgres, own)], _NEWEST),
    ):
        found.note(key, token, at / 1000)
    return found
