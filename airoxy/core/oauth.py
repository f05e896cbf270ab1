"""When an OAuth token is due for a refresh, what to ask for, and what the answer means.

Invariant: nothing that the endpoint says is repeated before secrets are cut out of it, since an
answer may echo the request.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from airoxy.core.answers.retry import retry_after_seconds

#: A token is renewed this long (seconds) before it expires, so that no request in flight meets
#: the end and a clock that is a little off does no harm.
DUE_BEFORE = 300

#: Life of a token (seconds) whose answer does not say it: what Anthropic's have.
USUAL_LIFE = 28_800

_LONGEST_LIFE = 366 * 86_400
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0

# Tokens, and client keys.
_SECRET = re.compile(r"(sk-ant-|\bak-(?=[A-Za-z0-9]{40}))\S*")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CREDENTIAL = re.compile(r"[!-~]{8,4096}")
#: What an OAuth server says against a request (RFC 6749, sections 4.1.2.1 and 5.2; RFC 6750, RFC
#: 8628, RFC 8707). Firewalls and CDNs before it have other words.
_OAUTH_ERRORS = frozenset((
    "access_denied", "expired_token", "invalid_client", "invalid_grant", "invalid_request",
    "invalid_scope", "invalid_target", "invalid_token", "unauthorized_client",
    "unsupported_grant_type",
))  # fmt: skip
_NEITHER_YES_NOR_NO = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The new pair; the refresh token that was sent is spent. `expires_at` is in Unix seconds."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint refuses the token; `final` if asking again with it is pointless."""

    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No verdict on the token; `retry_after` in seconds, if the endpoint gave it."""

    reason: str
    retry_after: float | None = None


Answer = Refreshed | Refused | Unavailable


def due(expires_at: int | None, now: float) -> bool:
    """Whether the token has expired or soon will. API keys (None) never do."""
    return expires_at is not None and expires_at - DUE_BEFORE <= now


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row: a minute, doubled each time, an hour."""
    return min(_FIRST_PAUSE * 2.0 ** min(max(failures - 1, 0), 16), _LONGEST_PAUSE)


def payload(client_id: str, scope: str, refresh_token: str) -> dict[str, str]:
    """The JSON document that asks for a new pair."""
    return {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "scope": scope,
    }


def read_answer(
    status: int, body: bytes, retry_after: bytes | str | None, refresh_token: str, now: float
) -> Answer:
    """What the endpoint's answer to `payload(…, refresh_token)` means."""
    document = _object(body)
    if status == 200:
        return _refreshed(document, refresh_token, now)
    code, description = _complaint(document)
    what = " ".join(
        part for part in (f"HTTP {status}", code, description and f"({description})") if part
    )
    reason = f"the OAuth endpoint answered {clean(what, refresh_token)}"
    verdict = 400 <= status < 500 and status not in _NEITHER_YES_NOR_NO
    if verdict and code in _OAUTH_ERRORS:
        return Refused(reason, final=code == "invalid_grant")
    return Unavailable(reason, retry_after_seconds(retry_after, now))


def clean(text: str, *secrets: str) -> str:
    """One line of at most 200 characters without control characters and without secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _SECRET.sub(r"\1…", text)
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:199] + "…"


def _refreshed(document: dict[str, Any], refresh_token: str, now: float) -> Answer:
    token, successor = document.get("access_token"), document.get("refresh_token", refresh_token)
    if not _credential(token) or not _credential(successor):
        return Unavailable("the OAuth endpoint answered HTTP 200 without a usable pair of tokens")
    return Refreshed(token, successor, int(now + _life(document.get("expires_in"))))


def _life(expires_in: Any) -> float:
    """Whatever stands there, the pair is not thrown away for it: the old one is spent already."""
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return USUAL_LIFE
    return min(seconds, _LONGEST_LIFE) if math.isfinite(seconds) and seconds > 0 else USUAL_LIFE


def _complaint(document: dict[str, Any]) -> tuple[str, str]:
    """Error code and description, from OAuth's form (RFC 6749, section 5.2) or Anthropic's."""
    error: Any = document.get("error")
    description = document.get("error_description")
    if isinstance(error, dict):
        error, description = error.get("type"), error.get("message")
    code = error if isinstance(error, str) and _CODE.fullmatch(error) else ""
    return code, description if isinstance(description, str) else ""


def _credential(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _CREDENTIAL.fullmatch(value) is not None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
