"""How the hosts of a fleet divide a limit of money among themselves.

Invariant: the shares of all hosts together are never more than the limit and what was used. Nobody
takes what another has, and who gives something up has stopped to use it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: What of the rest is divided equally, in hundredths, so that no host begins with nothing; the
#: others are divided by demand.
_EQUALLY = 15


class HostShare(NamedTuple):
    """What one host may spend: `most` of the limit `of`, in nano-dollars. `others` is what all
    other hosts have spent, as it was known in the period that began on day `first_day`."""

    most: int
    of: int
    others: int = 0
    first_day: int = 0

    def within(self, limit: int) -> int:
        """The share of what has become of the limit; more of it comes with the next division."""
        return self.most if limit >= self.of else self.most * limit // self.of


class Part(NamedTuple):
    """What a host has of a limit, has used of it, and has been asked for in the last seconds."""

    share: int
    used: int
    demand: float = 0.0


def first_share(limit: int, hosts: int) -> int:
    """Of a limit that has not been divided yet."""
    return limit // max(1, hosts)


def divide(limit: int, hosts: int, mine: Part, others: Sequence[Part]) -> int:
    """My new share. Of `hosts` some may have no part, and of the others some may be gone."""
    left = rest(limit, mine, others)
    asked = mine.demand + sum(other.demand for other in others)
    equal = left * _EQUALLY // (100 * hosts) if asked > 0 else left // hosts
    by_demand = int(left * (100 - _EQUALLY) * mine.demand / asked) // 100 if asked > 0 else 0
    free = limit - sum(other.share for other in others)
    return max(mine.used, min(mine.used + equal + by_demand, free))


def rest(limit: int, mine: Part, others: Sequence[Part]) -> int:
    """What nobody has used."""
    return max(0, limit - mine.used - sum(other.used for other in others))
