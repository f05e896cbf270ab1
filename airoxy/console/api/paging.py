"""Pages of lists: how many rows of one, after which, and where the next are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from airoxy.console.visit import Visit
from airoxy.errors import InvalidInput

#: Of a list that grows with time, how many are told unless more are asked for, and at the most.
NEWEST, MOST = 50, 1000
PAGE = {
    "limit": f"how many ({MOST} at the most; all)",
    "after": "the id of the last one of the page before",
}
PAGE_OF_NEWEST = {
    "limit": f"how many ({NEWEST}; {MOST} at the most)",
    "before": "the id of the oldest one of the page before",
}

Row = TypeVar("Row", bound=Mapping[str, Any])


def page(visit: Visit, rows: Sequence[Row]) -> tuple[Sequence[Row], str | None]:
    """Those that the query asks for of a list by id, and where the next are. Raises
    InvalidInput."""
    after = number(visit, "after")
    if after is not None:
        rows = [row for row in rows if row["id"] > after]
    if not visit.query.get("limit"):
        return rows, None
    shown = rows[: limit(visit)]
    more = len(rows) > len(shown)
    return shown, following(visit, after=shown[-1]["id"]) if more else None


def limit(visit: Visit) -> int:
    """How many are asked for. Raises InvalidInput."""
    found = number(visit, "limit")
    if found is None:
        return NEWEST
    if not 0 < found <= MOST:
        raise InvalidInput(f"limit: from 1 to {MOST}.")
    return found


def number(visit: Visit, name: str) -> int | None:
    """A number of the query. Raises InvalidInput."""
    text = visit.query.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise InvalidInput(f"{name} has to be a number.")
    return int(text)


def following(visit: Visit, **cursor: int | str) -> str:
    """Where the next page is."""
    return f"{visit.path.partition('?')[0]}?{urlencode({**visit.query, **cursor})}"
