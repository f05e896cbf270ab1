"""A host's share of an upstream token's limits, where it is one of a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from airoxy.core.limits.division import HostShare, first_share
from airoxy.core.limits.measures import DAY, MONTH, Running
from airoxy.core.pool import OwnLimits, Token

#: Measures of a token's limits, in their order: the name, and the least share of any host.
_MEASURES = ((DAY.name, 0), (MONTH.name, 0), (Running.name, Running.least))


def share_of_token(token: Token, hosts: int, shares: Mapping[str, HostShare]) -> Token:
    """The token with this host's shares as its limits; equal ones where they were not divided yet.
    `shares` are by the names of the measures."""
    if not hosts or token.limits is None:
        return token
    own: list[int | None] = []
    for limit, (name, least) in zip(token.limits, _MEASURES, strict=True):
        share = shares.get(name)
        if limit is None:
            own.append(None)
        elif share is None:
            own.append(first_share(limit, hosts, least))
        else:
            own.append(max(least, share.within(limit)))
    return replace(token, limits=OwnLimits(*own))
