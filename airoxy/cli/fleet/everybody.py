"""Commands that tell of all hosts of a fleet, unless only this one is meant."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from airoxy.calendar import day_number
from airoxy.cli.command import Context
from airoxy.cli.fleet.feed import OthersFeed
from airoxy.errors import AiroxyError, NotFound
from airoxy.store.fleet.hosts import added_own, as_groups
from airoxy.store.fleet.membership import Membership, membership, name_of_host
from airoxy.store.usage import requests
from airoxy.store.usage.rollups.source import Chosen

if TYPE_CHECKING:
    import apsw

    from airoxy.fleet.overview.log import OthersLog

T = TypeVar("T")
Requests = list[dict[str, Any]]


def see_everybody(
    context: Context,
    *,
    here: bool,
    host: str | None = None,
    since: datetime.date | None,
    until: datetime.date | None,
) -> None:
    """In a fleet, let `context.database` give the sums of all hosts, or of one of them, from the
    day `since` on and before `until`. Raises AiroxyError where only another host is meant that
    cannot be asked."""
    db = context.database
    member, here, only = _meant(db, here=here, host=host)
    if member is None or here:
        return
    from airoxy.fleet.overview.everybody import show_everybody

    try:
        with closing(context.connect(member)) as postgres:
            days = day_number(since) if since else 0, day_number(until) if until else None
            show_everybody(db, postgres, member.host, days, only)
    except AiroxyError as error:
        tell_alone(context, error, only)


def _meant(
    db: apsw.Connection, *, here: bool, host: str | None
) -> tuple[Membership | None, bool, str | None]:
    """This host as one of a fleet; whether only this one is meant; the name of the only one of the
    others that is. Raises NotFound."""
    member = membership(db)
    if host is None:
        return member, here, None
    if member is None:
        raise NotFound("This host is in no fleet; leave --host out.")
    return (member, True, None) if host == member.name else (member, False, host)


class Everybody:
    """The usage log of all hosts, or of the one that is called `host`; of this one alone outside a
    fleet, with `here` or, after a warning, where PostgreSQL cannot be reached. Raises AiroxyError
    where only another host is meant that cannot be asked."""

    def __init__(self, context: Context, *, here: bool, host: str | None = None) -> None:
        self._context = context
        self._member, here, self._only = _meant(context.database, here=here, host=host)
        self.is_shared = self._member is not None and not here
        self._log: OthersLog | None = None

    def newest(self, limit: int, wanted: requests.Filter) -> Requests:
        """The newest first."""
        rows, names = self._ask(lambda log: (log.newest(limit, wanted), log.names)) or ([], {})
        own = (
            requests.newest(self._context.database, limit=limit, wanted=wanted)
            if self._only is None
            else []
        )
        return merged([*self.own(own), *self.told(rows, names)])[:limit]

    def hours(self, wanted: requests.Filter) -> Requests:
        """The sums of TOTALS for each hour."""
        others = self._ask(lambda log: log.quarters(wanted)) or ()
        db = self._context.database
        first = self._member.first if self._member and self.is_shared else None
        if self._only is not None:
            first = requests.last_id(db)  # nothing of this host's
        return requests.totals_by_hour(
            db, wanted, zone=self._context.zone, after_id=first, others=others
        )

    def by_host(self, chosen: Chosen) -> Requests:
        """The sums of TOTALS of each host that has any, the dearest first; outside a fleet this
        host has a name as well."""
        db, member, only = self._context.database, self._member, self._only
        others: dict[str, dict[str, int]] = {}
        if member is not None and self.is_shared:
            from airoxy.fleet.overview.everybody import show_others, totals_of_others

            try:
                with closing(self._context.connect(member)) as postgres:
                    others = totals_of_others(postgres, member.host, chosen, only)
                show_others(db, [])  # without what is in the sums of another, too
            except AiroxyError as error:
                tell_alone(self._context, error, only)
        if only is None:
            own = requests.totals(db, **chosen._asdict())
            others = added_own(own, others, name_of_host(db))
        return as_groups(others)

    def own(self, rows: Requests) -> Requests:
        """This host's, but for those that another one has too, as whose copy it began; none where
        only another one is meant. In a fleet the host is said."""
        if (member := self._member) is None:
            return rows
        if self._only is not None:
            return []
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
        postgres = self._context.connect(self._member)
        try:
            return OthersLog(postgres, self._member.host, self._only)
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
            tell_alone(self._context, error, self._only)
            self._log = None
            return None


def merged(rows: Requests) -> Requests:
    """The newest first."""
    if len({row.get("host") for row in rows}) > 1:
        from airoxy.fleet.overview.log import ended

        rows.sort(key=ended, reverse=True)
    return rows


def tell_alone(context: Context, error: AiroxyError, only: str | None = None) -> None:
    """Why only this host is shown. Raises the error where only another one was meant."""
    if only is not None:
        raise error
    context.warn(f"airoxy: This is the usage of this host only. {error.message}")
