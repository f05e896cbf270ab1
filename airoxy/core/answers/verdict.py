"""What an upstream answer means for the token that it was asked with, and for the request.

`judge` is the table of verdicts. Invariant: what follows from an answer to one request keeps no
other request from a healthy token; a token is blamed only for what Anthropic says about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airoxy.calendar import next_month
from airoxy.core.answers.error_document import ErrorDocument, named_time
from airoxy.core.answers.retry import retry_after_seconds, unified_reset
from airoxy.core.oauth import clean
from airoxy.core.pool import EVERYTHING, Scope, Token
from airoxy.core.request.paths import is_open_to

SPEND_LIMIT = "enforced_spend_limit_reached"
#: No `retry-after` and no window of a subscription cools a token for longer (seconds).
LONGEST_RETRY, LONGEST_WINDOW = 6 * 3600.0, 8 * 86400.0
#: An account that cannot pay, and an organisation that may not, are asked again after (seconds).
UNPAID_PAUSE, FORBIDDEN_PAUSE = 3600.0, 600.0
#: The longest date that an answer may name (seconds).
_LONGEST_DATE = 366 * 86400.0
#: A conversation waits this long for its own token (seconds), because its cache is there.
SHORT_RETRY = 5.0
#: Times that an overloaded upstream is asked for one request, and the first pause (seconds).
MOST_OVERLOADS, OVERLOAD_PAUSE = 3, 0.5
#: Refusals in unknown words without a success between them, after which a token is given up.
MOST_UNKNOWN_REFUSALS = 10

#: Statuses that can mean something other than that the answer is the client's.
JUDGED = frozenset((400, 401, 402, 403, 429, 529))

#: Anthropic's words about the token itself: "invalid x-api-key", "This API key has been revoked.",
#: "OAuth token has expired", "Invalid bearer token".
_OF_THE_TOKEN = re.compile(
    r"invalid (?:x-api-key|api[ -]key|bearer|access token|oauth token|authentication credentials)"
    r"|(?:api[ -]key|token)\b.{0,60}\b(?:revoked|expired|disabled|deleted|deactivated|not valid"
    r"|invalid|no longer)",
    re.IGNORECASE | re.DOTALL,
)
#: Its words about what was asked for, whatever the token.
_OF_THE_REQUEST = re.compile(
    r"\bCORS\b|not (?:currently )?(?:supported|allowed|permitted|available)|admin", re.IGNORECASE
)
_OF_THE_ORGANISATION = re.compile(r"\borgani[sz]ation\b", re.IGNORECASE)
#: What an organisation can be refused while it may do everything else.
_OF_A_PART = re.compile(r"\b(?:model|beta|feature|tool|workspace)s?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A token is not used for `scope` until the Unix second `until`."""

    scope: Scope
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`then` is "answer", "next", "again" (with the same token) or "refresh", after `pause`
    seconds. `unknown_refusal`: nothing says whether the token is meant; such answers are counted.
    """

    then: str
    pause: float = 0.0
    cooldown: Cooldown | None = None
    deactivate: str | None = None
    unknown_refusal: bool = False


ANSWER, NEXT, REFRESH = Verdict("answer"), Verdict("next"), Verdict("refresh")


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream answer; `body` is what has arrived of it, decoded."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes = b""


@dataclass(slots=True)
class Situation:
    """The request that was answered, and what has happened to it before."""

    scope: Scope
    path: str
    conversation: bool = False
    from_browser: bool = False
    #: This token was renewed for this request already.
    refreshed: bool = False
    #: 529s, and 401s that did not speak of the token, that the request has met before.
    overloads: int = 0
    refusals: int = 0
    #: Whether the client itself has sent these words, which the answer may only repeat.
    said_by_client: Callable[[str], bool] = lambda _: False


def needs_body(status: int, headers: Mapping[bytes, bytes], scope: Scope, now: float) -> bool:
    """Whether the verdict depends on what the body says."""
    if status == 429:
        return not (
            retry_after_seconds(headers.get(b"retry-after"), now)
            or unified_reset(headers, scope.model_class, now)
        )
    return status != 529


def judge(
    token: Token, reply: Reply, situation: Situation, now: float, phrases: Sequence[str] = ()
) -> Verdict:
    """What follows from `reply`; `phrases` are what a 400 says of an account that cannot pay."""
    match reply.status:
        case 429:
            return _judge_429(reply, situation, now)
        case 529:
            return _judge_529(situation)
        case 401:
            return _judge_401(token, reply, situation)
        case 403:
            return _judge_403(reply, situation, now)
        case 400 | 402:
            return _judge_account(reply, situation, now, phrases)
    return ANSWER


def _judge_429(reply: Reply, situation: Situation, now: float) -> Verdict:
    if SPEND_LIMIT.encode() in reply.body and ErrorDocument(reply.body).code == SPEND_LIMIT:
        return _cool(EVERYTHING, next_month(now), "spend limit reached")
    if pause := retry_after_seconds(reply.headers.get(b"retry-after"), now):
        until = now + min(pause, LONGEST_RETRY)
        cooldown = Cooldown(situation.scope, until, "rate limited")
        if situation.conversation and pause <= SHORT_RETRY:
            return Verdict("again", pause, cooldown)
        return Verdict("next", cooldown=cooldown)
    if reset := unified_reset(reply.headers, situation.scope.model_class, now):
        until = min(reset, now + LONGEST_WINDOW)
        return _cool(situation.scope, until, "subscription's limit reached")
    # It says nothing about the token (pausing for such answers took whole pools down).
    return NEXT


def _judge_529(situation: Situation) -> Verdict:
    if situation.overloads + 1 >= MOST_OVERLOADS:
        return ANSWER
    then = "again" if situation.conversation else "next"
    return Verdict(then, OVERLOAD_PAUSE * 2**situation.overloads)


def _judge_401(token: Token, reply: Reply, situation: Situation) -> Verdict:
    error = ErrorDocument(reply.body)
    meant = error.type == "authentication_error" and is_open_to(token.type, situation.path)
    if meant and _OF_THE_TOKEN.search(error.message):
        if token.type == "oauth" and not situation.refreshed:
            return REFRESH
        return Verdict("next", deactivate=f"Anthropic answered 401: {clean(error.message)}")
    unknown = meant and not situation.from_browser and not _OF_THE_REQUEST.search(error.message)
    # The same refusal with a second token speaks for the request as its reason.
    then = "answer" if situation.refusals else "next"
    return Verdict(then, unknown_refusal=unknown)


def _judge_403(reply: Reply, situation: Situation, now: float) -> Verdict:
    error = ErrorDocument(reply.body)
    if (
        error.type != "permission_error"
        or not _OF_THE_ORGANISATION.search(error.message)
        or _OF_A_PART.search(error.message)
        or situation.said_by_client(error.message)
    ):
        return NEXT
    return _cool(EVERYTHING, now + FORBIDDEN_PAUSE, clean(error.message))


def _judge_account(
    reply: Reply, situation: Situation, now: float, phrases: Sequence[str]
) -> Verdict:
    error = ErrorDocument(reply.body)
    if reply.status == 400:
        message = error.message.lower()
        found = next((phrase for phrase in phrases if phrase.lower() in message), None)
        if found is None or situation.said_by_client(found):
            return ANSWER
    until = named_time(error.message, now)
    if until is None or until > now + _LONGEST_DATE:
        until = now + UNPAID_PAUSE
    return _cool(EVERYTHING, until, clean(error.message) or "Anthropic answered 402")


def _cool(scope: Scope, until: float, reason: str) -> Verdict:
    return Verdict("next", cooldown=Cooldown(scope, until, reason))
