"""Two hosts of a fleet as their agents divide limits, without servers: a test reports for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airoxy.calendar import day_number, day_of
from airoxy.fleet import sync
from airoxy.fleet.divide import Divider
from airoxy.store import keys
from airoxy.store.fleet.membership import membership
from airoxy.store.fleet.shares import (
    DividedLimit,
    InMemory,
    TokenSpending,
    divisions,
    report,
    shares_of,
)
from airoxy.store.limits import set_limits
from airoxy.store.schema import transaction
from airoxy.store.tokens import add_token, set_token
from tests.fleet.test_ship import join


class Pair:
    """The hosts 0 and 1, and the key 1, which has `limits`."""

    def __init__(self, directory: Path, url: str, **limits: int) -> None:
        paths = [directory / name / f"{name}.db" for name in "ab"]
        for path in paths:
            path.parent.mkdir()
        joined = [join(paths[0], url, "a", first=True)]
        paths[1].with_name("token.key").write_text(paths[0].with_name("token.key").read_text())
        joined.append(join(paths[1], url, "b"))
        self.dbs = [db for db, _ in joined]
        self.connections = [postgres for _, postgres in joined]
        self._dividers = [Divider(*each, membership(each[0]).host) for each in joined]
        with transaction(self.dbs[0]):
            set_limits(self.dbs[0], keys.add_key(self.dbs[0], "k", "ak-1", 0), limits)
        sync.push(*joined[0])
        sync.pull_all(*joined[1])

    def add_token(self, **limits: int) -> None:
        """The token 1, with these limits."""
        add_token(
            self.dbs[0], name="t", type="api_key", token="sk-ant-api03-pair",
            refresh_token=None, expires_at=None, now=time.time(),
        )  # fmt: skip
        set_token(self.dbs[0], 1, limits)
        sync.push(self.dbs[0], self.connections[0])
        sync.pull_all(self.dbs[1], self.connections[1])

    def report(self, host: int, division: int | None = None, **held: Any) -> None:
        """What the server of this host would say, which knows the latest division or this one."""
        self._report(host, division, 1, InMemory(**held), {})

    def report_token(
        self, host: int, spent: int, now: float, division: int | None = None, **held: Any
    ) -> None:
        """The same of the token, which has spent so much today."""
        today = TokenSpending(day_number(day_of(now)), spent)
        self._report(host, division, -1, InMemory(**held), {DividedLimit(-1, "day"): today})

    def _report(
        self,
        host: int,
        division: int | None,
        number: int,
        held: InMemory,
        spending: dict[DividedLimit, TokenSpending],
    ) -> None:
        db = self.dbs[host]
        known = divisions(db)[0] if division is None else division
        with transaction(db):
            report(db, known, {number: held}, spending)

    def divide(self, host: int, now: float | None = None) -> None:
        self._dividers[host].divide(time.time() if now is None else now)

    def share(self, host: int, measure: str, number: int = 1) -> int:
        """By which the server lets in."""
        return shares_of(self.dbs[host], number)[measure].most

    def close(self) -> None:
        for postgres in self.connections:
            postgres.close()
