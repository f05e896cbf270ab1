"""A fleet as an operator reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.core.limits.units import MONEY
from airoxy.views.formats import dollars
from airoxy.views.times import span


def lag_text(fleet: Mapping[str, Any]) -> str:
    """What GET /health has of it, in one line."""
    hosts, rows = fleet.get("hosts", 0), fleet.get("rows_waiting", 0)
    silent = fleet.get("seconds_since_contact")
    met = "never" if silent is None else f"{span(silent)} ago"
    told = f"{fleet.get('host')}, one of {hosts} host{'' if hosts == 1 else 's'}"
    told += f"; {rows:,} rows wait; last contact {met}"
    return f"{told}. {fleet['trouble']}" if "trouble" in fleet else told


def amount(limit: str, value: int) -> str:
    """Of a limit, by its name in JSON."""
    return dollars(value) if limit.endswith(MONEY.suffix) else f"{value:,}"
