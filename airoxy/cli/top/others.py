"""What `airoxy top` shows of the other hosts of a fleet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from airoxy.calendar import day_number
from airoxy.cli.command import Context
from airoxy.cli.fleet.everybody import Everybody, merged
from airoxy.errors import AiroxyError
from airoxy.store.fleet.usage import columns
from airoxy.store.usage.requests import ENDED_BADLY, Filter

if TYPE_CHECKING:
    from airoxy.fleet.overview.log import OthersLog, Shipped

#: Their sums of today are asked for so often (seconds).
_SUMS = 5.0
#: So many of their newest requests are known.
_MOST = 1000

Rows = list[dict[str, Any]]


class Answer(NamedTuple):
    """Requests that have come, the sums of today where they were asked for, and how many requests
    the hosts have given in all."""

    rows: list[Shipped]
    sums: list[tuple[Any, ...]] | None
    given: int


class Others:
    """The requests of other hosts, the newest first; `trouble` is why they are not known."""

    def __init__(self, context: Context, *, here: bool) -> None:
        self._context = context
        self._everybody = Everybody(context, here=here)
        self._names = [each.name for each in columns(context.database, "daily")]
        self._next_sums = 0.0
        self.requests: Rows = []
        self._given: int | None = None
        self.trouble = ""
        self.is_shared = self._everybody.is_shared
        self._feed = self._everybody.feed(self._ask, self._tell)

    def close(self) -> None:
        if self._feed:
            self._feed.close()

    def take(self, db: apsw.Connection) -> bool:
        """Whether there was something new, which is known then; their sums are beside those of
        `db`."""
        from airoxy.fleet.overview.everybody import show_others

        is_new = False
        while self._feed:
            answer, names = self._feed.take()
            is_new = is_new or bool(answer.rows) or answer.sums is not None
            came = self._everybody.told(answer.rows, names)
            self.requests = merged([*came, *self.requests])[:_MOST]
            self._given = answer.given
            if answer.sums is not None:
                show_others(db, answer.sums)
        return is_new

    def beside(self, own: Rows) -> Rows:
        """The newest of these and theirs."""
        return merged([*self._everybody.own(own), *self.requests])[:_MOST]

    def failures_beside(self, own: Rows) -> Rows:
        """The same of those that failed."""
        failed = [
            each
            for each in self.requests
            if each["status_code"] >= 400 or each["ending"] in ENDED_BADLY
        ]
        return merged([*self._everybody.own(own), *failed])

    def given_in_all(self) -> int | None:
        """How many requests they ever gave; None: that is not known yet."""
        return self._given if self.is_shared else 0

    def _ask(self, log: OthersLog) -> Answer:
        """In the feed's thread."""
        wanted = Filter()
        rows = log.later(_MOST, wanted) if log.marks else log.newest(_MOST, wanted)
        sums, now = None, time.monotonic()
        if now >= self._next_sums:
            self._next_sums = now + _SUMS
            sums = log.sums(self._names, day_number(self._context.today()))
        return Answer(rows, sums, sum(log.marks.values()))

    def _tell(self, error: AiroxyError | None) -> None:
        self.trouble = error.message if error else ""
