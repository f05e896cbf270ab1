"""Whether one more request of a client key is within its limits, and those of its groups.

Invariant: a request is let in while what is counted and what is held for others is below each
limit. What is held is never less than what those requests will count, so a limit is exceeded by one
request at most, however many come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from airoxy.core.limits.holders import Holder
from airoxy.core.limits.measures import Refusal, Use
from airoxy.core.limits.table import LIMITS, Limits

_MEASURED = tuple((limit.name, limit.measure) for limit in LIMITS if limit.measure)


def refusal(
    limits: Limits, use: Use, now: float, *, costs: bool, rates: bool = True
) -> Refusal | None:
    """The refusal by the limit that opens last, if any limit is reached; its message has no
    subject. `costs`: the request costs money and tokens, otherwise only limits on requests apply.
    Without `rates` these do not apply, because the request is counted already."""
    found: Refusal | None = None
    for name, measure in _MEASURED:
        most = getattr(limits, name)
        if most is None or not (costs if measure.costs else rates):
            continue
        refused = measure.refuse(most, use, now)
        # If two open at the same time, money goes first, and of money the longer period.
        if refused and (found is None or _rank(refused) >= _rank(found)):
            found = refused
    return found


def first_refusal(
    holders: Iterable[Holder], decide: Callable[[Holder], Refusal | None]
) -> Refusal | None:
    """The refusal of a key or its groups that opens last; its message names whose limit it is."""
    found: Refusal | None = None
    for holder in holders:
        refused = decide(holder)
        if refused and (found is None or _rank(refused) > _rank(found)):
            found = refused._replace(message=f"{holder.subject} {refused.message}")
    return found


def _rank(refused: Refusal) -> tuple[float, bool]:
    return refused.until, refused.spent
