"""What a client key may do, and whether one more request is within it.

The law: a request is let in while what is counted and what is held for others is below each limit.
What is held is never less than what those requests will count, so however many come at once, a
limit is passed by one request's worth at the most. Days and months are UTC's; a minute is the last
sixty seconds, whenever one looks.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from airoxy.calendar import next_day, next_month
from airoxy.core.billing.money import exact_dollars

#: The seconds of a minute, in which requests and tokens are counted.
MINUTE = 60
#: When to ask again where only running requests are in the way: nobody knows when they end (s).
SOON = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """None and () are no limit. Money is in nano-dollars; `expires_at` is the first Unix second at
    which the key is worth nothing."""

    spend_per_day: int | None = None
    spend_per_month: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    models: tuple[str, ...] = ()
    expires_at: int | None = None

    @property
    def spend(self) -> bool:
        """Whether money has to be counted."""
        return self.spend_per_day is not None or self.spend_per_month is not None

    @property
    def metered(self) -> bool:
        """Whether anything has to be counted."""
        counted = (self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests)
        return self.spend or any(limit is not None for limit in counted)

    def allows(self, model: str) -> bool:
        return not self.models or _pattern(self.models).fullmatch(model) is not None


class Use(NamedTuple):
    """How a key stands. `requests` and `tokens` are those of each second of the last minute, the
    oldest first; `held` and `tokens_held` are for the `running` requests."""

    spent_today: int = 0
    spent_this_month: int = 0
    held: int = 0
    requests: Sequence[int] = ()
    tokens: Sequence[int] = ()
    tokens_held: int = 0
    running: int = 0


class Refusal(NamedTuple):
    """Why not, and until when (Unix time). `spent`: it is about money; `final`: no request that
    ends can change it."""

    message: str
    until: float
    spent: bool = False
    final: bool = False


def refusal(limits: Limits, use: Use, now: float, *, costs: bool) -> Refusal | None:
    """Of the limits that are reached the one that opens last. `costs`: the request is one of those
    that cost money and tokens; others are held against requests alone."""
    found = [*_spending(limits, use, now)] if costs else []
    found += _rates(limits, use, now, costs)
    return max(found, key=lambda each: each.until, default=None)


def _spending(limits: Limits, use: Use, now: float) -> Iterator[Refusal]:
    """The month first: where both open at the same time, the larger one says more."""
    for limit, spent, span, opens in (
        (limits.spend_per_month, use.spent_this_month, "month", next_month),
        (limits.spend_per_day, use.spent_today, "day", next_day),
    ):
        if limit is None or spent + use.held < limit:
            continue
        money = exact_dollars(limit)
        if spent >= limit:
            until = opens(now)
            told = f"has spent its limit of {money} per {span}; it opens again at {moment(until)}"
        else:
            until = now + SOON
            told = f"has a limit of {money} per {span}, and running requests may use up what is"
            told += f" left of it; try again in {SOON} seconds"
        yield Refusal(f"This API key {told}.", until, True, spent >= limit)


def _rates(limits: Limits, use: Use, now: float, costs: bool) -> Iterator[Refusal]:
    most = limits.concurrent_requests
    if most is not None and use.running >= most:
        yield _rate(f"{most} concurrent requests", now + SOON, now)
    most = limits.requests_per_minute
    if most is not None and sum(use.requests) >= most:
        yield _rate(f"{most} requests per minute", _opens(use.requests, most, now), now)
    most = limits.tokens_per_minute
    if costs and most is not None and sum(use.tokens) + use.tokens_held >= most:
        left = most - use.tokens_held
        until = _opens(use.tokens, left, now) if left > 0 else now + SOON
        yield _rate(f"{most} tokens per minute", until, now)


def _rate(limit: str, until: float, now: float) -> Refusal:
    wait = wait_of(until, now)
    seconds = "second" if wait == 1 else "seconds"
    return Refusal(
        f"This API key has reached its limit of {limit}; try again in {wait} {seconds}.", until
    )


def wait_of(until: float, now: float) -> int:
    """Whole seconds after which `until` is over."""
    return max(1, math.ceil(until - now))


def _opens(counts: Sequence[int], most: int, now: float) -> float:
    """When so many of the oldest have left the last minute that fewer than `most` are in it."""
    excess = sum(counts) - most
    for second, count in enumerate(counts):
        excess -= count
        if excess < 0:
            # The last of `counts` is this second.
            return math.floor(now) + second + 1
    return now + MINUTE


def moment(when: float) -> str:
    """A Unix time as it is told to a client."""
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


@lru_cache(maxsize=1024)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_translated, globs)), re.DOTALL)


def _translated(glob: str) -> str:
    """`*` is any text and `?` any character. What a `*` has passed over is not gone back to, so
    that no name takes long."""
    first, *others = (
        "".join("." if letter == "?" else re.escape(letter) for letter in fixed)
        for fixed in glob.split("*")
    )
    if not others:
        return first
    return first + "".join(f"(?>.*?{fixed})" for fixed in others[:-1]) + ".*" + others[-1]
