"""Whose limits a client key is held to: its own, its group's, and those of all keys together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from airoxy.core.limits.table import Limits

#: The built-in group that every key is in, besides its own.
EVERYBODY = 1
#: Keys and groups are counted under one number: a key's id, or a group's id with this added.
GROUPS_FROM = 1 << 40


class Holder(NamedTuple):
    """A key or group whose use is counted under `number`; `subject` begins a refusal's sentence."""

    number: int
    subject: str
    limits: Limits


def of_key(key_id: int, limits: Limits) -> Holder:
    """A key with its own limits."""
    return Holder(key_id, "This API key", limits)


def of_group(group_id: int, name: str, limits: Limits) -> Holder:
    """A group with the limits of all its keys together."""
    subject = "The group of all API keys" if group_id == EVERYBODY else f"The group {name}"
    return Holder(group_id + GROUPS_FROM, subject, limits)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """All limits that apply to a key. `holders` have them, the key first; for `metered` something
    is counted. The client must be in one network of each list in `networks`."""

    holders: tuple[Holder, ...]
    metered: tuple[Holder, ...]
    expires_at: int | None
    paths: tuple[str, ...]
    networks: tuple[tuple[str, ...], ...]
    need_counting: bool
    #: Whether only certain models may be used, and whether there is something to hold.
    choose_models: bool
    hold: bool
    #: The holders with a limit on money.
    spending: tuple[Holder, ...]

    @classmethod
    def of(cls, *holders: Holder | None) -> Self | None:
        """Those of the key and of its groups that have some; None where there are none."""
        found = tuple(filter(None, holders))
        if not found:
            return None
        limits = [holder.limits for holder in found]
        own = next((each.limits for each in found if each.number < GROUPS_FROM), Limits())
        return cls(
            found,
            tuple(holder for holder in found if holder.limits.metered),
            own.expires_at,
            tuple(path for each in limits for path in each.paths),
            tuple(each.from_networks for each in limits if each.from_networks),
            any(each.need_counting for each in limits),
            any(each.models for each in limits),
            any(each.spend or each.tokens_per_minute is not None for each in limits),
            tuple(holder for holder in found if holder.limits.spend),
        )
