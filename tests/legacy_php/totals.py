"""What the account says, and what it should say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from airoxy.store.schema import run
from airoxy.store.usage import requests
from tests.legacy_php.old_airoxy import OldAiroxy

Import = Callable[..., str]
SUMS = ("requests", "successful", "failed", "input_tokens", "output_tokens",
        "cache_write_5m_tokens", "cache_read_tokens", "cost_nanousd")  # fmt: skip


def totals(db: apsw.Connection, **wanted: Any) -> tuple[int, ...]:
    found = requests.totals(db, **wanted)
    return tuple(found[name] for name in SUMS)


def of(requests: int, failed: int = 0) -> tuple[int, ...]:
    """The totals of so many requests as OldAiroxy makes them."""
    counts = (requests * n for n in (10, 20, 30, 40, 1_234_000))
    return (requests, requests - failed, failed, *counts)


def state(db: apsw.Connection) -> list[list[Any]]:
    names = ("api_keys", "tokens", "requests", "daily")
    return [run(db, f"SELECT * FROM {name}") for name in names]


def furnish(old: OldAiroxy) -> None:
    old.key().token().oauth().request().request(model=None)
    old.day("2026-10-01", 6).total("2026-10-01", 10).day(requests=4).total(requests=7)
