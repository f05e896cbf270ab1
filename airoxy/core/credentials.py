"""Claude Code's credential file, as text: the pair of OAuth tokens in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from airoxy.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Credentials:
    """`expires_at` is in Unix seconds."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: int


def parse(text: str) -> Credentials:
    """Raises InvalidInput, which says what the file lacks and repeats nothing of it."""
    try:
        found = json.loads(text)["claudeAiOauth"]
        token, refresh_token = found["accessToken"], found["refreshToken"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidInput("holds no Claude Code login") from None
    if not _is(token, "sk-ant-oat") or not _is(refresh_token, "sk-ant-ort"):
        raise InvalidInput("holds no pair of Anthropic OAuth tokens")
    return Credentials(token, refresh_token, _seconds(found.get("expiresAt")))


def _is(value: Any, prefix: str) -> bool:
    return (
        isinstance(value, str)
        and value.startswith(prefix)
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def _seconds(milliseconds: Any) -> int:
    """Of a missing or odd expiry nothing is known: taken as expired, which a refresh mends."""
    known = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    return int(milliseconds / 1000) if known and 0 < milliseconds < 1e15 else 0
