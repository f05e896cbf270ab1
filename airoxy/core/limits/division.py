"""How the hosts of a fleet divide a limit among themselves: of money, rates, or concurrency.

Invariant: the shares of all hosts together are never more than the limit and what was used. Nobody
takes what another has, and who gives something up has stopped to use it before. Only where a limit
is so small that not every host can have one request of it are there more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: What of the rest is divided equally, in hundredths, so that no host begins with nothing; the
#: others are divided by demand.
_EQUALLY = 15


class HostShare(NamedTuple):
    """What one host may use: `most` of the limit `of`, in its unit. `others` is what all other
    hosts have used, as it was known in the period that began on day `first_day`."""

    most: int
    of: int
    others: int = 0
    first_day: int = 0

    def alone(self) -> HostShare:
        """In a period in which nothing is known of the others."""
        return self._replace(others=0)

    def within(self, limit: int) -> int:
        """The share of what has become of the limit; more of it comes with the next division."""
        return self.most if limit >= self.of else self.most * limit // self.of


class Part(NamedTuple):
    """What a host has of a limit, has used of it, and has been asked for in the last seconds."""

    share: int
    used: int
    demand: float = 0.0


def first_share(limit: int, hosts: int, least: int = 0) -> int:
    """Of a limit that has not been divided yet."""
    return max(least, limit // max(1, hosts))


def divide(limit: int, hosts: int, mine: Part, others: Sequence[Part], least: int = 0) -> int:
    """My new share. Of `hosts` some may have no part, and of the others some may be gone. Each has
    `least` at the least."""
    left = rest(limit, mine, others)
    asked = mine.demand + sum(other.demand for other in others)
    parts = _EQUALLY / hosts + (100 - _EQUALLY) * mine.demand / asked if asked > 0 else 100 / hosts
    # A little more, since 2.9999999 requests would be two.
    part = int(left * parts / 100 + 1e-6)
    kept = least * max(0, hosts - 1 - len(others))
    free = limit - kept - sum(max(least, other.share) for other in others)
    return max(mine.used, least, min(mine.used + part, free))


def rest(limit: int, mine: Part, others: Sequence[Part]) -> int:
    """What nobody has used."""
    return max(0, limit - mine.used - sum(other.used for other in others))
