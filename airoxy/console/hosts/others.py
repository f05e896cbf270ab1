"""What the console asks of the other hosts of a fleet; whoever starts it says how.

Invariant: an answer is waited for only for a bounded time, which is short after one has failed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from airoxy.store.fleet.membership import Membership
from airoxy.store.usage.filter import Filter
from airoxy.store.usage.rollups.source import Chosen

LogRows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class FoundRows:
    """Requests of each host, its newest first; up to which of their ids was looked, by what is
    unique of the host; and where not all was looked through, from when on (milliseconds)."""

    hosts: Sequence[LogRows]
    marks: Mapping[str, int]
    searched_from: int | None = None


class ShownSums(Protocol):
    """`version` is another one when sums of days that are over have changed; `trouble` says since
    when the others' are not up to date any more."""

    @property
    def version(self) -> int: ...

    @property
    def trouble(self) -> str: ...

    def by_host(self, chosen: Chosen) -> dict[str, dict[str, int]]:
        """The sums of TOTALS of each of the others that has any, by its name."""


class OtherHosts(Protocol):
    """`host` is the name of the only one that is meant. Each raises AiroxyError."""

    def sums(
        self,
        db: apsw.Connection,
        member: Membership,
        host: str | None,
        since: datetime.date | None,
        today: datetime.date,
    ) -> AbstractContextManager[ShownSums]:
        """While it lasts the sums that `db` reads, from the day `since` on, are those of all hosts,
        this one among them, or of another one alone."""

    def log(
        self,
        db: apsw.Connection,
        member: Membership,
        host: str | None,
        limit: int,
        wanted: Filter,
        marks: Mapping[str, int] | None,
        give_up: Callable[[], bool],
    ) -> FoundRows:
        """The newest that are `wanted`, so many of all of them or a few more; with `marks` those
        up to these ids."""

    def request(
        self, db: apsw.Connection, member: Membership, host: str, number: int
    ) -> dict[str, Any] | None:
        """One request of another host."""

    def quarters(self, member: Membership, host: str | None, wanted: Filter) -> LogSums:
        """Their sums of TOTALS for each quarter of an hour."""

    def status(self, db: apsw.Connection, member: Membership) -> tuple[dict[str, Any], str]:
        """As `airoxy fleet status --json` has it, and why it has no hosts where it has none."""


LogSums = Sequence[Sequence[int]]
