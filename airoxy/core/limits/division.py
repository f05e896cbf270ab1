"""How the hosts of a fleet divide a limit among themselves: of money, rates, or concurrency.

Invariant: the shares of all hosts together are never more than the limit and what was used. A host
takes only what no other host has, and stops using what it gives up before it does. The one
exception is a limit too small for one request on every host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Percentage of the unused rest that is divided equally, so that every host has something to begin
#: with; the remainder is divided by demand.
_EQUALLY = 15


class HostShare(NamedTuple):
    """What one host may use: `most` of the limit `of`, in its unit. `others` is what all other
    hosts have used, as it was known in the period that began on day `first_day`."""

    most: int
    of: int
    others: int = 0
    first_day: int = 0

    def alone(self) -> HostShare:
        """The share in a new period, in which the use of the other hosts is not known yet."""
        return self._replace(others=0)

    def within(self, limit: int) -> int:
        """The share after the limit was changed: reduced at once, raised by the next division."""
        return self.most if limit >= self.of else self.most * limit // self.of


class Part(NamedTuple):
    """What a host has of a limit, has used of it, and has been asked for in the last seconds."""

    share: int
    used: int
    demand: float = 0.0


def first_share(limit: int, hosts: int, least: int = 0) -> int:
    """A host's share of a limit that has not been divided yet."""
    return max(least, limit // max(1, hosts))


def divide(limit: int, hosts: int, mine: Part, others: Sequence[Part], least: int = 0) -> int:
    """My new share, `least` or more. Some of `hosts` may have no part yet, and some of the others
    may have left."""
    left = rest(limit, mine, others)
    asked = mine.demand + sum(other.demand for other in others)
    parts = _EQUALLY / hosts + (100 - _EQUALLY) * mine.demand / asked if asked > 0 else 100 / hosts
    # A little more, since 2.9999999 requests would be two.
    part = int(left * parts / 100 + 1e-6)
    kept = least * max(0, hosts - 1 - len(others))
    free = limit - kept - sum(max(least, other.share) for other in others)
    return max(mine.used, least, min(mine.used + part, free))


def rest(limit: int, mine: Part, others: Sequence[Part]) -> int:
    """What no host has used."""
    return max(0, limit - mine.used - sum(other.used for other in others))
