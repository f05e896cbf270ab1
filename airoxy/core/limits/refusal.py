"""Whether one more request of a client key is within its limits, and those of its groups.

Invariant: a request is let in while what is counted and what is held for others is below each
limit. What is held is never less than what those requests will count, so however many come at
once, a limit is passed by one request's worth at the most.
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
    """Of the limits that are reached the one that opens last. `costs`: the request is one of those
    that cost money and tokens; others are held against requests alone. Without `rates` it is among
    the requests already. Its message has no subject."""
    found: Refusal | None = None
    for name, measure in _MEASURED:
        most = getattr(limits, name)
        if most is None or not (costs if measure.costs else rates):
            continue
        refused = measure.refuse(most, use, now)
        # Of two that open at the same time money says more, and of that the longer period.
        if refused and (found is None or _rank(refused) >= _rank(found)):
            found = refused
    return found


def first_refusal(
    holders: Iterable[Holder], decide: Callable[[Holder], Refusal | None]
) -> Refusal | None:
    """Of what is decided of each the refusal that opens last, which names whose limit it is."""
    found: Refusal | None = None
    for holder in holders:
        refused = decide(holder)
        if refused and (found is None or _rank(refused) > _rank(found)):
            found = refused._replace(message=f"{holder.subject} {refused.message}")
    return found


def _rank(refused: Refusal) -> tuple[float, bool]:
    return refused.until, refused.spent
