"""Anthropic's endpoints as the unscripted fake answers them.

Invariant: a credential is believed or refused as Anthropic does it, whatever else was asked.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from tests.fake_anthropic import messages, openai
from tests.fake_anthropic.conversations import Conversations
from tests.fake_anthropic.encodings import encoder
from tests.fake_anthropic.resources import Refused, Resources, account, fields, page
from tests.fake_anthropic.wire import Exchange, Seen

CLAUDE_CODE = "You are Claude Code, Anthropic's official CLI for Claude"
SYSTEM_LINES = (
    f"{CLAUDE_CODE}.",
    "You are a Claude agent, built on Anthropic's Claude Agent SDK.",
    f"{CLAUDE_CODE}, running within the Claude Agent SDK.",
)
BILLING = "x-anthropic-billing-header:"
CORS_CONSENT = "anthropic-dangerous-direct-browser-access"
#: Here an API key comes as a bearer token.
OPENAI_PATH = "/v1/chat/completions"
OAUTH_BETAS = {"oauth-2025-04-20", "claude-code-20250219"}
CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
OAUTH_PATH = "/v1/oauth/token"

KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 409: "conflict_error",
    413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip

MODELS = {
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-haiku-5-5": "Claude Haiku 5.5",
    "claude-sonnet-4-6": "Claude Sonnet 4.6",
    "claude-haiku-4-5-20251001": "Claude Haiku 4.5",
}


def credentials(seen: Seen) -> list[str]:
    """Every credential of the request, as it would be believed."""
    bearers = [v.partition(" ")[2] for v in seen.all("authorization")]
    return [*seen.all("x-api-key"), *bearers]


def check_credentials(seen: Seen, revoked: set[str]) -> None:
    """Refuse what Anthropic refuses; the rules are those of its two kinds of token."""
    if seen.all("origin") and seen.all(CORS_CONSENT) != ["true"]:
        raise Refused(401, f"CORS requests must set '{CORS_CONSENT}' header")
    given = credentials(seen)
    if not given:
        raise Refused(401, "x-api-key header is required")
    if len(given) > 1:
        raise Refused(401, "Only one of x-api-key and authorization may be given, once")
    openai = seen.path == OPENAI_PATH and given[0].startswith("sk-ant-api")
    by_key = bool(seen.all("x-api-key")) or openai
    if given[0] in revoked or not given[0].startswith("sk-ant-api" if by_key else "sk-ant-oat"):
        raise Refused(401, "invalid x-api-key" if by_key else "Invalid bearer token")
    betas = {b.strip() for v in seen.all("anthropic-beta") for b in v.split(",")}
    if not by_key and not betas >= OAUTH_BETAS:
        raise Refused(401, "OAuth authentication is currently not supported.")
    if not seen.all("anthropic-version") and not openai:
        raise Refused(400, "anthropic-version: header is required")


class Api:
    """The state behind the endpoints: what was made, by which account, and how often refreshed."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.usage: dict[str, Any] = {}
        self.expires_in = 28800
        self.numbers = itertools.count(1)
        #: Headers about the windows of a subscription, by its account.
        self.quotas: dict[str, dict[str, str]] = {}
        #: Where the usage is what caches and threads make of it; None: always the same.
        self.conversations: Conversations | None = None
        self._resources = Resources(self)
        self._refreshes: dict[str, int] = {}

    async def answer(self, x: Exchange) -> None:
        """Answer as Anthropic would, whatever was asked."""
        try:
            await self._route(x)
        except Refused as refused:
            await self.refuse(x, refused.status, refused.message, details=refused.details)

    async def _route(self, x: Exchange) -> None:
        parts = x.seen.path.strip("/").split("/")
        if x.seen.path == OAUTH_PATH:
            return await self._refresh(x)
        if parts[0] != "v1":
            return await self.json(x, {}, 200 if x.seen.path in ("/", "/api/hello") else 404)
        check_credentials(x.seen, self.revoked)
        match [x.seen.method, *parts[1:]]:
            case ["POST", "messages"]:
                await self.message(x)
            case ["POST", "messages", "count_tokens"]:
                fields(x.seen)
                await self.json(x, {"input_tokens": messages.USAGE["input_tokens"]})
            case ["POST", "chat", "completions"]:
                await self._completion(x)
            case ["GET", "models", *rest]:
                await self._models(x, *rest)
            case [method, "messages", "batches", *rest]:
                await self._resources.batch(x, method, *rest)
            case [method, "files", *rest]:
                await self._resources.file(x, method, *rest)
            case _:
                raise Refused(404, "Not Found")

    # What every answer has in common

    def headers(self, x: Exchange, content_type: str = "application/json") -> list[tuple[str, str]]:
        reset = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        limits = [
            (f"anthropic-ratelimit-{kind}-{name}", value)
            for kind, limit in (("requests", 4000), ("input-tokens", 2000000))
            for name, value in (("limit", str(limit)), ("remaining", str(limit)), ("reset", reset))
        ]
        return [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", content_type),
            *limits,
            *self.quotas.get(account(x.seen.token or ""), {}).items(),
            ("request-id", f"req_{next(self.numbers):024d}"),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("Server", "cloudflare"),
            ("via", "1.1 google"),
            ("CF-RAY", "0000000000000000-FRA"),
        ]

    async def json(self, x: Exchange, data: Any, status: int = 200, encoding: str = "") -> None:
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        await self.send(x, status, [], body, encoding)

    async def send(
        self, x: Exchange, status: int, extra: list[tuple[str, str]], body: bytes, encoding: str
    ) -> None:
        if encoding:
            made = encoder(encoding)
            body, extra = made.piece(body) + made.end(), [*extra, ("Content-Encoding", encoding)]
        await x.respond(status, self.headers(x) + extra, body)

    async def refuse(
        self,
        x: Exchange,
        status: int,
        text: str,
        *,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """An error in Anthropic's shape; its id is the `request-id` header's."""
        error: dict[str, Any] = {"type": KINDS.get(status, "api_error"), "message": text}
        if details:
            error["details"] = details
        common = self.headers(x)
        data = {"type": "error", "error": error, "request_id": dict(common)["request-id"]}
        await x.respond(status, common + list((headers or {}).items()), json.dumps(data).encode())

    # Messages

    def compose(self, seen: Seen, **said: Any) -> dict[str, Any]:
        """The message for a request; `said` as for `messages.message`, and `model`."""
        asked, whose = fields(seen), account(seen.token or "")
        counts: dict[str, Any] = {}
        if self.conversations:
            asked = self.conversations.asked(whose, asked)
            counts = self.conversations.usage(whose, asked)
        said["usage"] = counts | self.usage | (said.get("usage") or {})
        model = said.pop("model", None) or asked["model"]
        message = messages.message(next(self.numbers), model, **said)
        if self.conversations:
            self.conversations.answered(whose, asked, message)
        return message

    def check_system(self, seen: Seen) -> None:
        """A subscription's token serves Anthropic's own programs only, and says so oddly."""
        if seen.token is None or not seen.token.startswith("sk-ant-oat"):
            return
        asked = fields(seen)
        if (asked.get("thread") or {}).get("type") == "continue":
            return  # who it is was said when the thread began
        system = asked.get("system") or ""
        texts = [system] if isinstance(system, str) else [block["text"] for block in system]
        rest = list(itertools.dropwhile(lambda text: text.startswith(BILLING), texts))
        if any(text.startswith(BILLING) for text in rest):
            raise Refused(400, "system: the billing header has to come first")
        if not rest or not rest[0].startswith(SYSTEM_LINES):
            raise Refused(429, "Error")

    async def message(self, x: Exchange, *, encoding: str = "", **said: Any) -> None:
        """Answer a Messages request, streamed if it asks for that."""
        try:
            self.check_system(x.seen)
            whole = self.compose(x.seen, **said)
        except Refused as refused:  # of a scripted answer, too
            return await self.refuse(x, refused.status, refused.message, details=refused.details)
        if not fields(x.seen).get("stream"):
            return await self.json(x, whole, encoding=encoding)
        await self.begin_stream(x, encoding)
        made = encoder(encoding or None)
        for event in messages.events(whole):
            await x.piece(made.piece(event))
        await x.piece(made.end())
        await x.end()

    async def _completion(self, x: Exchange) -> None:
        """Answer in OpenAI's form."""
        asked = fields(x.seen)
        whole = openai.completion(self.compose(x.seen))
        if not asked.get("stream"):
            return await self.json(x, whole)
        await self.begin_stream(x)
        told = bool((asked.get("stream_options") or {}).get("include_usage"))
        for event in openai.events(whole, include_usage=told):
            await x.piece(event)
        await x.end()

    async def begin_stream(self, x: Exchange, encoding: str = "") -> None:
        extra = [("Content-Encoding", encoding)] if encoding else []
        kind = "text/event-stream; charset=utf-8"
        await x.begin(200, [*self.headers(x, kind), ("Cache-Control", "no-cache"), *extra])

    async def _models(self, x: Exchange, name: str = "") -> None:
        data = [
            {
                "type": "model", "id": id_, "display_name": shown, "lifecycle": "active",
                "created_at": "2026-10-01T00:00:00Z",
            }
            for id_, shown in MODELS.items()
            if name in ("", id_)
        ]  # fmt: skip
        if name and not data:
            raise Refused(404, f"model: {name}")
        await self.json(x, data[0] if name else page(data))

    # OAuth

    async def _refresh(self, x: Exchange) -> None:
        """A refresh token works once; its answer has the next pair."""
        try:
            asked = json.loads(x.seen.body)
        except ValueError:
            asked = {}
        old = asked.get("refresh_token", "")
        if asked.get("grant_type") != "refresh_token" or asked.get("client_id") != CLIENT_ID:
            return await self.json(x, {"error": "invalid_request"}, 400)
        if not old.startswith("sk-ant-ort") or old in self.revoked:
            told = "Refresh token not found or invalid"
            return await self.json(x, {"error": "invalid_grant", "error_description": told}, 400)
        self.revoked.add(old)
        who = account(old)
        count = self._refreshes[who] = self._refreshes.get(who, 0) + 1
        await self.json(
            x,
            {
                "token_type": "Bearer",
                "access_token": f"sk-ant-oat-{who}.{count}",
                "refresh_token": f"sk-ant-ort-{who}.{count}",
                "expires_in": self.expires_in,
                "scope": asked.get("scope", ""),
            },
        )
