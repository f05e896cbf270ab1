"""One question to Anthropic: is this token good? It costs nothing (`GET /v1/models`)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from airoxy.config import UpstreamSettings
from airoxy.core.oauth import clean
from airoxy.core.pool import Token
from airoxy.core.request.headers import to_upstream
from airoxy.errors import AiroxyError
from airoxy.upstream.origin import proxy_from_environ
from airoxy.upstream.upstream import Upstream

#: For the whole exchange (seconds).
TIMEOUT = 5.0
_ERROR_LIMIT = 64 * 1024

GOOD, LIMITED, REFUSED, UNPAID, UNKNOWN = "good", "limited", "refused", "unpaid", "unreachable"


@dataclass(frozen=True)
class TokenCheck:
    """What Anthropic answered. `state` is one of those above; `message` is for people."""

    state: str
    message: str
    organization: str | None = None


def check_token(
    upstream: UpstreamSettings, token: Token, environ: Mapping[str, str] = os.environ
) -> TokenCheck:
    """Blocks for TIMEOUT at the most, and never raises for what goes wrong on the way."""
    try:
        status, headers, body = asyncio.run(_ask(upstream, token, environ))
    except TimeoutError:
        return TokenCheck(UNKNOWN, f"{upstream.url} did not answer within {TIMEOUT:g} seconds")
    except (AiroxyError, OSError) as error:
        return TokenCheck(UNKNOWN, clean(str(error), token.secret))
    return read_check(token, status, headers, body)


def read_check(
    token: Token, status: int, headers: Mapping[bytes, bytes], body: bytes
) -> TokenCheck:
    """What an answer means."""
    organization = headers.get(b"anthropic-organization-id", b"").decode("latin-1") or None
    detail = clean(_error_message(body), token.secret)
    answer = f"Anthropic answered {status}" + (f": {detail}" if detail else "")
    if status == 200:
        where = f", of organization {organization}" if organization else ""
        return TokenCheck(GOOD, f"Anthropic accepts it{where}", organization)
    if status == 429:
        return TokenCheck(LIMITED, f"it is rate limited now ({answer})", organization)
    if status in (400, 402):
        return TokenCheck(UNPAID, answer, organization)
    if status in (401, 403):
        return TokenCheck(REFUSED, answer, organization)
    return TokenCheck(UNKNOWN, answer, organization)


async def _ask(
    upstream: UpstreamSettings, token: Token, environ: Mapping[str, str]
) -> tuple[int, dict[bytes, bytes], bytes]:
    client = Upstream(
        upstream.url,
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        proxy=proxy_from_environ(upstream.url, environ),
    )
    own = [(b"accept", b"application/json"), (b"anthropic-version", b"2023-06-01")]
    headers = to_upstream(own, token, client.host)
    try:
        return await asyncio.wait_for(_exchange(client, headers), TIMEOUT)
    finally:
        await client.aclose()


async def _exchange(
    client: Upstream, headers: list[tuple[bytes, bytes]]
) -> tuple[int, dict[bytes, bytes], bytes]:
    answer = await client.send(b"GET", b"/v1/models?limit=1", headers)
    body = b""
    if answer.status != 200:
        while len(body) < _ERROR_LIMIT and (piece := await answer.read()):
            body += piece
    answer.abort()
    return answer.status, answer.named, body


def _error_message(body: bytes) -> str:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""
