"""The hosts of the fleet, as this host's agent saw them last: whoever asks need not wait for
PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw

from airoxy.store.schema import run


class FleetHost(NamedTuple):
    """`airoxy` is its version, `waiting` how many rows the fleet did not have of it, and `seen_at`
    when it was there last (Unix time)."""

    name: str
    airoxy: str
    waiting: int
    seen_at: float


def keep_hosts(db: apsw.Connection, hosts: Iterable[FleetHost]) -> None:
    """In the caller's transaction: these are all."""
    run(db, "DELETE FROM fleet_hosts")
    db.cursor().executemany("INSERT INTO fleet_hosts VALUES (?, ?, ?, ?)", hosts)


def fleet_hosts(db: apsw.Connection) -> list[FleetHost]:
    """By name."""
    return [FleetHost(*row) for row in run(db, "SELECT * FROM fleet_hosts ORDER BY name")]
