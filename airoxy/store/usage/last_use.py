"""When client keys were last used, as far as the usage log and its sums tell."""

# ruff: noqa: S608  (the SQL is put together from this file's own words)
from __future__ import annotations

from collections.abc import Sequence

import apsw

from airoxy.calendar import DAY_SECONDS
from airoxy.store.schema import among, run
from airoxy.store.usage.blocks import each_block


def last_use(db: apsw.Connection, key_id: int) -> float | None:
    """The Unix time of the key's last request; where its detailed rows are gone, of the beginning
    of its last day in UTC."""
    ((newest,),) = run(
        db,
        f"{each_block()} SELECT max((SELECT max(newest) FROM blocks AS b"
        " WHERE b.block = each_block.block AND b.api_key_id = ?)) FROM each_block",
        (key_id,),
    )
    if newest is not None:
        return float(newest / 1000)
    # The days one by one, because the sums are in the order of days and then of keys.
    days = run(
        db,
        "WITH RECURSIVE each_day (day) AS (SELECT max(day) FROM daily UNION ALL"
        " SELECT (SELECT max(d.day) FROM daily AS d WHERE d.day < each_day.day) FROM each_day"
        " WHERE each_day.day IS NOT NULL) SELECT day FROM each_day WHERE EXISTS"
        " (SELECT 1 FROM daily AS d WHERE d.day = each_day.day AND d.api_key_id = ?) LIMIT 1",
        (key_id,),
    )
    return float(days[0][0] * DAY_SECONDS) if days else None


def last_uses(db: apsw.Connection, since_block: int = 0) -> tuple[dict[int, float], int]:
    """The same of every key that is there and was ever used, by its id, and the newest block; with
    `since_block` only what this one and those after it have."""
    rows = run(
        db,
        "SELECT api_key_id, max(newest), max(block) FROM blocks WHERE block >= ?"
        " GROUP BY api_key_id",
        (since_block,),
    )
    uses = {key: float(newest / 1000) for key, newest, _ in rows}
    last_block = max((block for _, _, block in rows), default=since_block)
    if not since_block:
        there = run(db, "SELECT id FROM api_keys WHERE removed_at IS NULL")
        uses |= _last_days(db, [key for (key,) in there if key not in uses])
    return uses, last_block


def _last_days(db: apsw.Connection, ids: Sequence[int]) -> dict[int, float]:
    """When the last days began on which these keys were used, in one look at all sums."""
    if not ids:
        return {}
    rows = run(
        db,
        f"SELECT id, max(day) FROM (SELECT api_key_id AS id, day FROM daily) WHERE {among(ids)}"
        " GROUP BY id",
    )
    return {key: float(day * DAY_SECONDS) for key, day in rows}
