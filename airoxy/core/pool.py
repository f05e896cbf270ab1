"""Which upstream token a request gets: tokens, what they can cool down for, and the choice."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

#: In a Scope: all of them.
EVERY_GROUP = EVERY_CLASS = "*"

_GENERATION_4 = re.compile(r"claude-(opus|sonnet)-4(?![0-9])")
_SUFFIX = re.compile(r"(\[[^\]]*\]|-latest|-20[0-9]{6})+$")


class OwnLimits(NamedTuple):
    """What a token may be used for; None is no limit. Money is in nano-dollars."""

    spend_per_day: int | None
    spend_per_month: int | None
    concurrent: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """An upstream credential. `expires_at` is in Unix seconds and set for OAuth tokens only;
    cooldowns that were set before `reset_at` (Unix nanoseconds) do not count. Of the tokens that
    are ready those with the highest `priority` are used."""

    id: int
    name: str
    type: str
    secret: str = field(repr=False)
    expires_at: int | None
    reset_at: int
    priority: int = 0
    pool: str | None = None
    limits: OwnLimits | None = None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Scope(NamedTuple):
    """What a cooldown keeps a token from: an endpoint group (`core.request.paths`) and a class of
    models. Of a request: its group, and the class of the model that it names, "" for none."""

    group: str = EVERY_GROUP
    model_class: str = EVERY_CLASS

    def __str__(self) -> str:
        """As people read it: of Messages only the model, of everything nothing."""
        group, model = self
        model = "" if model == EVERY_CLASS else model
        group = "" if group == EVERY_GROUP or (group == "messages" and model) else group
        return f"{group} {model}".strip()


EVERYTHING = Scope()


def model_class(model: str | None) -> str:
    """The class whose limits `model` shares: Opus 4.x one, Sonnet 4.x one, newer ones their own."""
    name = (model or "").lower()
    if shared := _GENERATION_4.match(name):
        return shared[0]
    return _SUFFIX.sub("", name)


@lru_cache(maxsize=1024)  # model names come from clients
def scope_of(group: str, model: str | None) -> Scope:
    """That of a request at an endpoint of this group."""
    return Scope(group, model_class(model))


def ready(
    tokens: Iterable[Token],
    cooling_until: Callable[[Token], float] | None,
    now: float,
    tried: Collection[int] = (),
) -> list[Token]:
    """The tokens that could be sent now: not tried yet, not expired, not cooling (without
    `cooling_until`, none is)."""
    return [
        token
        for token in tokens
        if token.id not in tried
        and (token.expires_at is None or token.expires_at > now)  # as expired(), without a call
        and (cooling_until is None or cooling_until(token) <= now)
    ]


def affinity(session: bytes, token: Token) -> bytes:
    """Rendezvous weight. By name: it outlives a refresh and can be the same on several hosts."""
    return blake2b(session + b"\0" + token.name.encode(), digest_size=8).digest()
