"""The hosts of the fleet, as this host's agent saw them last: whoever asks need not wait for
PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import apsw

from airoxy.store.schema import run

#: What is divided by this is divided by the hosts of the fleet.
HOST = "host"


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


class LastUses(NamedTuple):
    """When client keys and upstream tokens were used last on other hosts (Unix time), by id."""

    keys: dict[int, float]
    tokens: dict[int, float]

    def note(self, key: int, token: int | None, at: float) -> None:
        """They were used then, or later."""
        self.keys[key] = max(at, self.keys.get(key, 0.0))
        if token:
            self.tokens[token] = max(at, self.tokens.get(token, 0.0))


Sums = Mapping[str, int]


def with_own(of_all: Sums, others: Mapping[str, Sums], own: str) -> dict[str, dict[str, int]]:
    """The sums of each host by its name: what is left of all is this one's, `own`."""
    left = {
        name: count - sum(each[name] for each in others.values()) for name, count in of_all.items()
    }
    return added_own(left, others, own)


def added_own(of_own: Sums, others: Mapping[str, Sums], own: str) -> dict[str, dict[str, int]]:
    """The same from this host's sums. Another one, that has left, may have had the same name."""
    before = others.get(own, {})
    sums = {name: count + before.get(name, 0) for name, count in of_own.items()}
    return {**{name: dict(each) for name, each in others.items()}, own: sums}


def as_groups(hosts: Mapping[str, Sums]) -> list[dict[str, Any]]:
    """Those that have had any requests, the dearest first."""
    used = [(name, sums) for name, sums in hosts.items() if sums["requests"]]
    used.sort(key=lambda each: (-each[1]["cost_nanousd"], each[0]))
    return [{HOST: name, **sums} for name, sums in used]
