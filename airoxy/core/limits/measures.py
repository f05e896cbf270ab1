"""How what a key uses is counted, and how a limit on it is refused."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from airoxy import calendar
from airoxy.core.billing.money import exact_dollars
from airoxy.core.limits.division import HostShare, first_share
from airoxy.core.limits.units import moment

#: The seconds of a minute, in which requests and tokens are counted.
MINUTE = 60
#: `retry-after` of a request that has to wait for running requests, whose end is unknown (seconds).
SOON = 5
#: The same while this host waits for a larger share: limits are divided again by then.
SHARE_SOON = 2


class Period(NamedTuple):
    """A calendar period in which money is counted. `first` gives the first day of the period that
    a day is in, `end` the Unix time at which the period of a Unix time ends in a time zone. `of`
    follows a sum in a sentence."""

    name: str
    present: str
    first: Callable[[datetime.date], datetime.date]
    end: Callable[[float, datetime.tzinfo], float]
    of: str = ""


DAY = Period("day", "today", lambda day: day, calendar.next_day)
WEEK = Period(
    "week", "this week", lambda day: day - datetime.timedelta(day.weekday()), calendar.next_week
)
MONTH = Period("month", "this month", lambda day: day.replace(day=1), calendar.next_month)
#: All time, which never ends.
TOTAL = Period("total", "total", lambda _: calendar.EPOCH, lambda *_: math.inf, "in total")
#: Those that begin anew, and all.
CALENDAR = (DAY, WEEK, MONTH)
PERIODS = (*CALENDAR, TOTAL)


@lru_cache(maxsize=1024)
def _whole(limit: int) -> HostShare:
    """The share of a host that is not in a fleet."""
    return HostShare(limit, limit)


class Use(NamedTuple):
    """What a key or a group has used and holds. `spent` is by the names of PERIODS; `requests` and
    `tokens` are those of each second of the last minute, the oldest first; `held` (nano-dollars)
    and `tokens_held` are for the `running` requests. Periods are those of `zone`. Where this is
    one of the `hosts` of a fleet, all of it is of this host; `shares` are by the names of measures.
    """

    spent: Mapping[str, int]
    held: int = 0
    requests: Sequence[int] = ()
    tokens: Sequence[int] = ()
    tokens_held: int = 0
    running: int = 0
    zone: datetime.tzinfo = datetime.UTC
    hosts: int = 0
    shares: Mapping[str, HostShare] = {}

    def share(self, measure: Measure, most: int) -> HostShare:
        """What this host may use of a limit of so much."""
        if not self.hosts:
            return _whole(most)
        found = self.shares.get(measure.name)
        if found is None:
            return HostShare(first_share(most, self.hosts, measure.least), most)
        return found._replace(most=max(measure.least, found.within(most)))


class Refusal(NamedTuple):
    """Why a request is refused, and until when (Unix time). `spent`: a limit on money is reached;
    `final`: the end of running requests will not change that."""

    message: str
    until: float
    spent: bool = False
    final: bool = False


class Measure(Protocol):
    """`name` names the shares of a fleet's hosts, each at least `least`; `field` is the name of the
    use in JSON, empty if the usage log does not tell it; `costs`: only requests that cost something
    are counted."""

    @property
    def name(self) -> str: ...
    @property
    def least(self) -> int: ...
    @property
    def field(self) -> str: ...
    @property
    def costs(self) -> bool: ...

    def used(self, use: Use) -> int | None:
        """None where it was not summed."""

    def refuse(self, most: int, use: Use, now: float) -> Refusal | None:
        """Why one more request would be above `most`: a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Spend:
    """Money in a period, with what running requests may cost."""

    period: Period
    costs, least = True, 0

    @property
    def name(self) -> str:
        return self.period.name

    @property
    def field(self) -> str:
        return f"spent_{self.period.present.replace(' ', '_')}_nanousd"

    def used(self, use: Use) -> int | None:
        return use.spent.get(self.period.name)

    def refuse(self, most: int, use: Use, now: float) -> Refusal | None:
        spent, share = self.used(use) or 0, use.share(self, most)
        if spent + use.held < share.most:
            return None
        spent += share.others
        money = f"{exact_dollars(most)} {self.period.of or f'per {self.period.name}'}"
        if spent >= most:
            until = self.period.end(now, use.zone)
            told = f"has spent its limit of {money}"
            if until < math.inf:
                told += f"; it opens again at {moment(until, use.zone)}"
        elif use.hosts:
            until = now + SHARE_SOON
            told = f"has a limit of {money}, and this one of {use.hosts} hosts has used its share"
            told += f" of it; try again in {SHARE_SOON} seconds"
        else:
            until = now + SOON
            told = f"has a limit of {money}, and running requests may use up what is"
            told += f" left of it; try again in {SOON} seconds"
        return Refusal(f"{told}.", until, True, spent >= most)


class Requests:
    """Requests in the last sixty seconds, whenever one looks."""

    name, least = "requests", 1
    field, costs = "requests_last_minute", False

    def used(self, use: Use) -> int:
        return sum(use.requests)

    def refuse(self, most: int, use: Use, now: float) -> Refusal | None:
        used, share = self.used(use), use.share(self, most)
        if used < share.most:
            return None
        until = _opens(use.requests, share.most, now)
        return _rate(f"{most} requests per minute", most, used, share, use.hosts, until, now)


class Tokens:
    """Tokens in the last sixty seconds, with those that running requests may use."""

    name, least = "tokens", 1
    field, costs = "tokens_last_minute", True

    def used(self, use: Use) -> int:
        return sum(use.tokens)

    def refuse(self, most: int, use: Use, now: float) -> Refusal | None:
        used, share = self.used(use) + use.tokens_held, use.share(self, most)
        if used < share.most:
            return None
        left = share.most - use.tokens_held
        until = _opens(use.tokens, left, now) if left > 0 else now + SOON
        return _rate(f"{most} tokens per minute", most, used, share, use.hosts, until, now)


class Running:
    """Requests that run at the same time."""

    name, least = "running", 1
    field, costs = "", False

    def used(self, use: Use) -> int:
        return use.running

    def refuse(self, most: int, use: Use, now: float) -> Refusal | None:
        used, share = use.running, use.share(self, most)
        if used < share.most:
            return None
        limit = f"{most} concurrent requests"
        return _rate(limit, most, used, share, use.hosts, now + SOON, now)


def wait_of(until: float, now: float) -> int:
    """Whole seconds after which `until` is over."""
    return max(1, math.ceil(until - now))


def _rate(
    limit: str, most: int, used: int, share: HostShare, hosts: int, until: float, now: float
) -> Refusal:
    """`most` is the limit, of which this host has used so much of its share."""
    told = f"has reached its limit of {limit}"
    if share.most < most and used + share.others < most:
        until = min(until, now + SHARE_SOON)
        told = f"has a limit of {limit}, and this one of {hosts} hosts has used its share of it"
    wait = wait_of(until, now)
    seconds = "second" if wait == 1 else "seconds"
    return Refusal(f"{told}; try again in {wait} {seconds}.", until)


def _opens(counts: Sequence[int], most: int, now: float) -> float:
    """When so many of the oldest have left the last minute that fewer than `most` are in it."""
    excess = sum(counts) - most
    for second, count in enumerate(counts):
        excess -= count
        if excess < 0:
            # The last of `counts` is this second.
            return math.floor(now) + second + 1
    return now + MINUTE
