"""The equal share of an upstream token's limits that each host of a fleet has. Those of keys and
groups are divided by demand (`division`).

Invariant: each host has at least one concurrent request.
"""

from __future__ import annotations

from dataclasses import replace

from airoxy.core.pool import Token


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
