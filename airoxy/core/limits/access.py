"""Which endpoints a client key may use."""

from __future__ import annotations

from airoxy.core.limits import globs
from airoxy.core.limits.holders import KeyLimits
from airoxy.core.request.paths import Cost
from airoxy.errors import Forbidden


def check_access(limits: KeyLimits | None, cost: Cost, path: str) -> None:
    """Refuse what is not open to a key with these limits, if it has any. Raises Forbidden."""
    if cost is Cost.ADMINISTRATION:
        told = "The Admin API is not open to this API key"
    elif cost is Cost.UNKNOWN and limits is not None and limits.need_counting:
        told = "This API key has limits, and what is used at this path cannot be counted"
    else:
        return
    if limits is None or not globs.matches(limits.paths, path):
        raise Forbidden(f"{told}; an operator can open the path with `airoxy api-key set --paths`.")
