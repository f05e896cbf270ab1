"""The equal share of a limit that each host of a fleet has: of rates and concurrency, and of the
limits of upstream tokens. Money of keys and groups is divided by demand (`division`).

Invariant: of requests, tokens and concurrency each host has at least one.
"""

from __future__ import annotations

from dataclasses import replace

from airoxy.core.limits.holders import Holder
from airoxy.core.limits.measures import Spend
from airoxy.core.limits.table import LIMITS
from airoxy.core.pool import Token

_MEASURED = tuple(
    limit.name for limit in LIMITS if limit.measure and not isinstance(limit.measure, Spend)
)


def share_of_holder(holder: Holder, hosts: int) -> Holder:
    """Of a key's or a group's limits; a refusal says whose share is used up."""
    if hosts <= 1:
        return holder
    shares = {
        name: max(1, most // hosts)
        for name in _MEASURED
        if (most := getattr(holder.limits, name)) is not None
    }
    if not shares:
        return holder
    subject = f"On this one of {hosts} hosts, {holder.subject[:1].lower()}{holder.subject[1:]}"
    return Holder(holder.number, subject, replace(holder.limits, **shares))


def share_of_token(token: Token, hosts: int) -> Token:
    """Of the limits of an upstream token."""
    if hosts <= 1 or token.limits is None:
        return token
    day, month, concurrent = token.limits
    shares = token.limits._replace(
        spend_per_day=None if day is None else day // hosts,
        spend_per_month=None if month is None else month // hosts,
        concurrent=None if concurrent is None else max(1, concurrent // hosts),
    )
    return replace(token, limits=shares)
