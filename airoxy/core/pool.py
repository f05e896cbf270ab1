"""Which token a request gets, and what an answer means for that token and that request.

The law: decisions are made here and returned as data; whoever does the I/O acts on them. `judge`
is the table of verdicts, row by row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from airoxy.calendar import next_month
from airoxy.core.oauth import clean
from airoxy.core.retry import retry_after_seconds

#: A cooling of every model class, as opposed to one.
EVERY_CLASS = "*"
#: No `retry-after` pauses a token for longer than this (seconds).
LONGEST_COOLING = 3600.0
SPEND_LIMIT = "enforced_spend_limit_reached"
#: Bodies above this are not an error document; `judge` needs no more (bytes).
ERROR_BODY_LIMIT = 64 * 1024

_GENERATION_4 = re.compile(r"claude-(opus|sonnet)-4(?![0-9])")
_SUFFIX = re.compile(r"(\[[^\]]*\]|-latest|-20[0-9]{6})+$")


@dataclass(frozen=True, slots=True)
class Token:
    """An upstream credential. `expires_at` is in Unix seconds and set for OAuth tokens only;
    coolings that were set before `reset_at` (Unix nanoseconds) do not count."""

    id: int
    name: str
    type: str
    secret: str = field(repr=False)
    expires_at: int | None
    reset_at: int

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Cooling:
    """A token rests for `model_class` until the Unix second `until`."""

    model_class: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an upstream answer: `then` is "answer", "next" or "refresh"."""

    then: str
    cooling: Cooling | None = None
    deactivate: str | None = None


ANSWER, NEXT, REFRESH = Verdict("answer"), Verdict("next"), Verdict("refresh")


def model_class(model: str | None) -> str:
    """The class whose limits `model` shares: Opus 4.x one, Sonnet 4.x one, newer ones their own."""
    name = (model or "").lower()
    if shared := _GENERATION_4.match(name):
        return shared[0]
    return _SUFFIX.sub("", name)


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


def choose(
    ready_tokens: Collection[Token], last_used: Callable[[Token], int], session: bytes | None
) -> Token | None:
    """The session's own token, or the least recently used one (the first of those never used)."""
    if not ready_tokens:
        return None
    if session:
        return max(ready_tokens, key=lambda token: (_affinity(session, token), -token.id))
    return min(ready_tokens, key=last_used)


def _affinity(session: bytes, token: Token) -> bytes:
    """Rendezvous weight. By name: it outlives a refresh and can be the same on several hosts."""
    return blake2b(session + b"\0" + token.name.encode(), digest_size=8).digest()


def judge(
    token: Token,
    status: int,
    headers: Mapping[bytes, bytes],
    body: bytes,
    asked_class: str,
    now: float,
    *,
    refreshed: bool,
) -> Verdict:
    """What `status` decides for the token and the request; `body` is needed of 401 and 429."""
    if status == 429:
        return _judge_429(headers, body, asked_class, now)
    if status in (403, 529):
        return NEXT
    if status == 401:
        if token.type == "oauth" and not refreshed:
            return REFRESH
        said = error_message(body) or "no reason given"
        return Verdict("next", deactivate=f"Anthropic answered 401: {clean(said)}")
    return ANSWER


def _judge_429(
    headers: Mapping[bytes, bytes], body: bytes, asked_class: str, now: float
) -> Verdict:
    if SPEND_LIMIT.encode() in body and _error_code(body) == SPEND_LIMIT:
        until = next_month(now)
        return Verdict("next", Cooling(EVERY_CLASS, until, "spend limit reached"))
    pause = retry_after_seconds(headers.get(b"retry-after"), now)
    if not pause:
        # Request-scoped: it says nothing about the token (pausing took whole pools down).
        return NEXT
    return Verdict("next", Cooling(asked_class, now + min(pause, LONGEST_COOLING), "rate limited"))


def error_message(body: bytes) -> str | None:
    """`error.message` of an Anthropic error body, in one line of at most 300 characters."""
    message = _error(body).get("message")
    return " ".join(message.split())[:300] if isinstance(message, str) and message else None


def _error_code(body: bytes) -> object:
    details = _error(body).get("details")
    return details.get("error_code") if isinstance(details, dict) else None


def _error(body: bytes) -> dict[str, object]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}
