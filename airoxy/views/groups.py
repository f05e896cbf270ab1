"""A group of client keys as it is shown: with what its keys have used of its limits."""

from __future__ import annotations

from typing import Any

import apsw

from airoxy.core.limits.holders import GROUPS_FROM
from airoxy.views.keys import Row, used
from airoxy.views.times import with_times


def with_use(db: apsw.Connection, group: Row, now: float) -> dict[str, Any]:
    """The group with what its keys have used, as far as the usage log tells."""
    return {**group, **used(db, group["id"] + GROUPS_FROM, now)}


def document(group: Row) -> dict[str, Any]:
    """The group as JSON has it."""
    return with_times(group, ("created_at",))
