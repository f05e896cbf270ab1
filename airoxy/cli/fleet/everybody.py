"""Commands that tell of all hosts of a fleet, unless only this one is meant."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airoxy.calendar import day_number
from airoxy.cli.command import Context
from airoxy.cli.fleet.feed import OthersFeed
from airoxy.errors import AiroxyError
from airoxy.store.fleet.membership import Membership, membership
from airoxy.store.usage import requests

if TYPE_CHECKING:
    from airoxy.fleet.overview.log import OthersLog
    from airoxy.fleet.postgres import Postgres

T = TypeVar("T")
Requests = list[dict[str, Any]]


def add_here(parser: ArgumentParser) -> None:
    parser.add_argument("--here", action="store_true", help="of a fleet only this host")


def see_everybody(
    context: Context, *, here: bool, since: datetime.date | None, until: datetime.date | None
) -> None:
    """In a fleet, let `context.database` give the sums of all hosts, from the day `since` on and
    before `until`."""
    db = context.database
    member = None if here else membership(db)
    if member is None:
        return
    from airoxy.fleet.overview.everybody import show_everybody

    try:
        postgres = _connect(context, member)
        try:
            days = day_number(since) if since else 0, day_number(until) if until else None
            show_everybody(db, postgres, member.host, days)
        finally:
            postgres.close()
    except AiroxyError as error:
        _tell_alone(context, error)


class Everybody:
    """The usage log of all hosts; of this one alone outside a fleet, with `here` or, after a
    warning, where PostgreSQL cannot be reached."""

    def __init__(self, context: Context, *, here: bool) -> None:
        self._context = context
        self._member = membership(context.database)
        self.is_shared = self._member is not None and not here
        self._log: OthersLog | None = None

    def newest(self, limit: int, wanted: requests.Filter) -> Requests:
        """The newest first."""
        rows, names = self._ask(lambda log: (log.newest(limit, wanted), log.names)) or ([], {})
        own = requests.newest(self._context.database, limit=limit, wanted=wanted)
        return merged([*self.own(own), *self.told(rows, names)])[:limit]

    def hours(self, wanted: requests.Filter) -> Requests:
        """The sums of TOTALS for each hour."""
        others = self._ask(lambda log: log.quarters(wanted)) or ()
        first = self._member.first if self._member and self.is_shared else None
        return requests.totals_by_hour(
            self._context.database, wanted, zone=self._context.zone, after_id=first, others=others
        )

    def own(self, rows: Requests) -> Requests:
        """This host's, but for those that another one has too, as whose copy it began. In a fleet
        the host is said."""
        if (member := self._member) is None:
            return rows
        first = member.first if self.is_shared else 0
        return [{"host": member.name, **row} for row in rows if row["id"] > first]

    def told(self, rows: list[Any], names: dict[str, str]) -> Requests:
        """Those of other hosts."""
        from airoxy.fleet.overview.log import as_told

        return as_told(self._context.database, rows, names) if rows else []

    def feed(
        self, ask: Callable[[OthersLog], T], tell: Callable[[AiroxyError | None], object]
    ) -> OthersFeed[T] | None:
        """What the others answer each second from now on, after what `newest` has told; None where
        only this host is meant."""
        return OthersFeed(self._connect, ask, self._log, tell) if self.is_shared else None

    def _connect(self) -> OthersLog:
        """Raises AiroxyError."""
        from airoxy.fleet.overview.log import OthersLog

        assert self._member
        postgres = _connect(self._context, self._member)
        try:
            return OthersLog(postgres, self._member.host)
        except BaseException:
            postgres.close()
            raise

    def _ask(self, question: Callable[[OthersLog], T]) -> T | None:
        """None where there are no others, or they cannot be asked."""
        if not self.is_shared:
            return None
        try:
            self._log = self._log or self._connect()
            return question(self._log)
        except AiroxyError as error:
            _tell_alone(self._context, error)
            self._log = None
            return None


def merged(rows: Requests) -> Requests:
    """The newest first."""
    if len({row.get("host") for row in rows}) > 1:
        from airoxy.fleet.overview.log import ended

        rows.sort(key=ended, reverse=True)
    return rows


def _connect(context: Context, member: Membership) -> Postgres:
    from airoxy.fleet.agent import connector

    credentials = context.environ.get("CREDENTIALS_DIRECTORY")
    return connector(context.database_path, credentials, context.config.fleet.database)(member)


def _tell_alone(context: Context, error: AiroxyError) -> None:
    context.warn(f"airoxy: This is the usage of this host only. {error.message}")
