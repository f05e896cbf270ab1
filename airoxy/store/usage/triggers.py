"""The triggers that keep the daily sums and the sparse index, and the view for other programs.

They are derived from the columns that the tables have, and made anew with every migration, in its
transaction: a column that `requests` and `daily` both have is summed, and shown by the view.
"""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Sequence

import apsw

from airoxy.calendar import DAY_MS
from airoxy.core.limits.holders import EVERYBODY, GROUPS_FROM
from airoxy.store.usage.first_tables import BLOCK
from airoxy.store.usage.rollups import tables as rollups

#: The sums of models that Anthropic has never charged for, because clients make names up.
OTHER_MODELS = "other"

_GROUP = ("day", "api_key_id", "token_id", "model", "group_id")
#: What is summed of a request where it is not the column of the same name.
_SUMMED = {
    "requests": "1",
    "failed": "NEW.status_code >= 400 OR NEW.ending IN ('upstream_failed', 'worker_killed')",
    "estimated": "NEW.is_estimate",
}
#: How the view shows a column where it is not as it is.
_SHOWN = {
    "requested_at": (
        "strftime('%Y-%m-%dT%H:%M:%fZ', r.requested_at / 1000.0, 'unixepoch') AS requested_at"
    ),
    "api_key_id": "r.api_key_id, k.name AS api_key_name",
    "token_id": "r.token_id, t.name AS token_name",
    "group_id": "r.group_id, g.name AS group_name",
}
#: What the view does not show: a cost's inputs are airoxy's own.
_INTERNAL = ("basis",)


def derive(db: apsw.Connection) -> None:
    """Make the triggers and the view anew, in the caller's transaction."""
    cursor = db.cursor()
    requests, daily = (
        [name for (name,) in cursor.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        for table in ("requests", "daily")
    )
    # Versions before groups have the same triggers and the same view, without them.
    has_groups = "group_id" in daily
    group = _GROUP if has_groups else _GROUP[:-1]
    values = _group(group, requests, _day(cursor))
    sql = _written(group, values, daily) + _recosted(group, values)
    sql += _uncounted(group, values, [name for name in daily if name in requests])
    cursor.execute(sql + _view(requests))
    rolled_up = rollups.derive(db)
    if has_groups:
        cursor.execute(_spending(rolled_up))


def _day(cursor: apsw.Cursor) -> str:
    """The day that a row is in, by the offsets of `store.usage.days`. They stand in the trigger,
    the newest first, so that nothing is looked up for a row, and in UTC nothing is asked."""
    if not list(cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'day_offsets'")):
        return f"NEW.requested_at / {DAY_MS}"  # a migration to a version from before
    known = list(cursor.execute("SELECT since, seconds FROM day_offsets ORDER BY since DESC"))
    oldest = known.pop()[1] * 1000
    if not known and not oldest:
        return f"NEW.requested_at / {DAY_MS}"
    cases = "".join(
        f" WHEN NEW.requested_at >= {since * 1000} THEN {seconds * 1000}"
        for since, seconds in known
    )
    offset = f"CASE{cases} ELSE {oldest} END" if cases else f"{oldest}"
    return f"(NEW.requested_at + {offset}) / {DAY_MS}"


def _written(group: Sequence[str], values: str, daily: Sequence[str]) -> str:
    sums = [name for name in daily if name not in group]
    added = ", ".join(_SUMMED.get(name, f"NEW.{name}") for name in sums)
    adding = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    return f"""
DROP TRIGGER IF EXISTS requests_written;
CREATE TRIGGER requests_written AFTER INSERT ON requests
BEGIN
    INSERT INTO daily ({", ".join((*group, *sums))})
    VALUES ({values}, {added})
    ON CONFLICT DO UPDATE SET {adding};
    INSERT INTO blocks VALUES (
        NEW.id / {BLOCK}, NEW.api_key_id, ifnull(NEW.token_id, 0),
        NEW.requested_at, NEW.requested_at
    )
    ON CONFLICT DO UPDATE SET
        oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest)
    WHERE excluded.oldest < oldest OR excluded.newest > newest;
END;

DROP TRIGGER IF EXISTS daily_added;
CREATE TRIGGER daily_added AFTER INSERT ON daily WHEN NEW.model NOT IN ('', '{OTHER_MODELS}')
BEGIN
    INSERT OR IGNORE INTO charged_models VALUES (NEW.model);
END;
"""


def _recosted(group: Sequence[str], values: str) -> str:
    return f"""
DROP TRIGGER IF EXISTS requests_recosted;
CREATE TRIGGER requests_recosted AFTER UPDATE OF cost_nanousd ON requests
BEGIN
    UPDATE daily SET cost_nanousd = cost_nanousd + NEW.cost_nanousd - OLD.cost_nanousd
    WHERE ({", ".join(group)}) = ({values});
END;
"""


def _uncounted(group: Sequence[str], values: str, shared: Sequence[str]) -> str:
    """Where results of a batch turn out to be counted by another host (`store.fleet.claims`)."""
    sums = [name for name in shared if name not in (*group, *_SUMMED, "cost_nanousd")]
    changes = ", ".join(f"{name} = {name} + NEW.{name} - OLD.{name}" for name in sums)
    return f"""
DROP TRIGGER IF EXISTS requests_uncounted;
CREATE TRIGGER requests_uncounted AFTER UPDATE OF {", ".join(sums)} ON requests
BEGIN
    UPDATE daily SET {changes}
    WHERE ({", ".join(group)}) = ({values});
END;
"""


def _group(group: Sequence[str], requests: Sequence[str], day: str) -> str:
    """The values of `group` for a row. A model that was charged for is not looked up."""
    used = " + ".join(f"NEW.{name}" for name in requests if name.endswith("_tokens"))
    return f"""
        {day}, NEW.api_key_id, ifnull(NEW.token_id, 0),
        CASE
            WHEN NEW.model IS NULL THEN ''
            WHEN {used} > 0 OR NEW.model IN (SELECT name FROM charged_models) THEN NEW.model
            ELSE '{OTHER_MODELS}'
        END{", ifnull(NEW.group_id, 0)" * ("group_id" in group)}"""


def _view(requests: Sequence[str]) -> str:
    columns = ", ".join(_SHOWN.get(name, f"r.{name}") for name in requests if name not in _INTERNAL)
    return f"""
DROP VIEW IF EXISTS request_log;
CREATE VIEW request_log AS
SELECT {columns}
FROM requests AS r
LEFT JOIN api_keys AS k ON k.id = r.api_key_id
LEFT JOIN tokens AS t ON t.id = r.token_id
{"LEFT JOIN groups AS g ON g.id = r.group_id" * ("group_id" in requests)};
"""


def _spending(rolled_up: str) -> str:
    """Whatever changes a cost of the daily sums changes the sums of those whose spending is, and
    `rolled_up` is done where the rollups have what changes."""
    sql = ""
    for event, change in (
        ("INSERT", "NEW.cost_nanousd"),
        ("UPDATE", "NEW.cost_nanousd - OLD.cost_nanousd"),
    ):
        name = f"daily_spent_{event.lower()}"
        when, more = "EXISTS (SELECT 1 FROM spenders)", ""
        if event == "UPDATE" and rolled_up:
            when += f" OR ({rollups.IS_ROLLED_UP})"
            more = f"\n    {rolled_up} WHERE {rollups.IS_ROLLED_UP};"
        # Without any spender, and today, this takes no time that can be measured.
        sql += f"""
DROP TRIGGER IF EXISTS {name};
CREATE TRIGGER {name} AFTER {event} ON daily WHEN {when}
BEGIN
    INSERT INTO spending SELECT id, NEW.day, {change} FROM spenders
    WHERE id IN (NEW.api_key_id, NEW.group_id + {GROUPS_FROM}, {EVERYBODY + GROUPS_FROM})
    ON CONFLICT DO UPDATE SET cost_nanousd = cost_nanousd + excluded.cost_nanousd;{more}
END;
"""
    return sql
