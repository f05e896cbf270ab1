"""Whose usage a page or an answer shows: of all hosts, of one of them, or of this one because the
others cannot be asked, which is said."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from airoxy.console.hosts.others import OtherHosts, ShownSums
from airoxy.console.visit import Visit
from airoxy.core.limits.measures import CALENDAR
from airoxy.errors import AiroxyError, NotFound, StoreError
from airoxy.store.fleet.hosts import fleet_hosts
from airoxy.store.fleet.membership import Membership, membership
from airoxy.store.schema import run

#: What the API takes.
WHICH_HOST = {"host": "of this host of the fleet only, by its name (all hosts)"}


@dataclass
class Sight:
    """`chosen` is the name of the only host that is asked for; `trouble` is what is said where not
    all is shown that was meant."""

    member: Membership | None = None
    chosen: str | None = None
    names: list[str] = field(default_factory=list)
    trouble: str = ""
    shown: ShownSums | None = None

    @property
    def is_fleet(self) -> bool:
        return self.member is not None

    @property
    def own(self) -> str:
        return self.member.name if self.member else ""

    @property
    def wants_others(self) -> bool:
        return self.member is not None and self.chosen != self.member.name

    @property
    def is_own(self) -> bool:
        """Whether nothing of other hosts is shown."""
        return not self.wants_others or bool(self.trouble and self.shown is None)

    @property
    def of(self) -> str:
        """What is to be said of a file whose content is not that of all hosts; or nothing."""
        return (self.chosen or (self.own if self.is_own else "")) if self.member else ""

    def link(self, path: str, **query: str) -> str:
        """To a page about the same hosts."""
        given = {**query, **({"host": self.chosen} if self.chosen else {})}
        return f"{path}?{urlencode(given)}" if given else path

    def alone(self, error: AiroxyError) -> None:
        """The others cannot be asked: what there is here is shown. Raises the error where only
        another host was meant."""
        if self.chosen is not None or isinstance(error, NotFound):
            raise error
        self.trouble = f"This is the usage of {self.own} only. {error.message}"


def sight_of(visit: Visit) -> Sight:
    """What the query's `host` means. Raises NotFound."""
    chosen = visit.query.get("host", "").strip() or None
    member = membership(visit.db)
    if member is None:
        if chosen is not None:
            raise NotFound("This host is in no fleet; leave host out.")
        return Sight()
    names = [each.name for each in fleet_hosts(visit.db)]
    return Sight(member, chosen, names or [member.name])


def others_of(visit: Visit) -> OtherHosts:
    """Raises StoreError."""
    if visit.services.others is None:
        raise StoreError("Other hosts cannot be asked from here.")
    return visit.services.others


@contextmanager
def with_sums(visit: Visit, since: datetime.date | None) -> Iterator[tuple[Visit, Sight]]:
    """While it lasts the sums, from the day `since` on, are those of all hosts that are meant.
    Raises NotFound, and StoreError where only another host is meant that cannot be asked."""
    sight = sight_of(visit)
    with ExitStack() as stack:
        if sight.member is not None and sight.wants_others:
            try:
                shown = stack.enter_context(
                    others_of(visit).sums(visit.db, sight.member, sight.chosen, since, visit.today)
                )
            except AiroxyError as error:
                sight.alone(error)
            else:
                sight.shown, sight.trouble = shown, shown.trouble
                past = visit.services.pasts.of(sight.chosen, shown.version)
                visit = replace(visit, services=replace(visit.services, past=past))
        yield visit, sight


def with_spending(
    visit: Visit, since: datetime.date | None = None
) -> AbstractContextManager[tuple[Visit, Sight]]:
    """The same of all that keys, groups and tokens have spent in the periods of their limits, or
    from the day `since` on if that is earlier."""
    firsts = [each.first(visit.today) for each in CALENDAR]
    # What is limited in total is shown with all that it has ever spent.
    is_whole = bool(run(visit.db, "SELECT 1 FROM spenders"))
    return with_sums(visit, None if is_whole else min([*firsts, *([since] if since else [])]))
