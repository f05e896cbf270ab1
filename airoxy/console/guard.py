"""What every request must pass before anything of the console sees it.

Invariant: without a session or an API token only the login and the static files are answered, and
there is no list of what is protected: everything is that is not named here. What changes something
comes from our own pages (Origin and CSRF token) or shows an API token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import apsw
import falcon
import falcon.asgi

from airoxy.console.origin import OwnOrigin
from airoxy.console.threads import DatabaseThreads
from airoxy.console.visitor import Visitor
from airoxy.errors import AiroxyError, Forbidden, InvalidInput, TooLarge, Unauthorized
from airoxy.store.console import api_tokens, sessions

#: What is answered without a session.
PUBLIC = ("/login", "/link/", "/static/")
API = "/api/"
#: `__Host-` is only taken by browsers over TLS, for this host and the whole of it.
COOKIE, SECURE_COOKIE = "airoxy", "__Host-airoxy"
_SAFE = ("GET", "HEAD", "OPTIONS")
#: The longest form, and the longest document: one of some thousand keys.
_MOST_FORM, _MOST_DOCUMENT = 64 * 1024, 512 * 1024

#: Of Referrer-Policy "no-referrer" would make the browser hide the Origin of forms as well.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Misdirected(AiroxyError):
    """The request is for a host that is not ours."""

    status, kind = 421, "invalid_request_error"


class Guard:
    """Falcon's middleware; `threads` is the database, to look sessions up."""

    def __init__(
        self, origin: OwnOrigin, threads: DatabaseThreads, clock: Callable[[], float]
    ) -> None:
        self._origin = origin
        self._threads = threads
        self._clock = clock

    async def process_request(self, request: falcon.asgi.Request, _: Any) -> None:
        """Raises AiroxyError for what is not let in."""
        context = request.context
        host = request.get_header("host") or ""
        context.visitor = context.secret = None
        if not self._origin.is_ours(host):
            raise Misdirected(
                "The console is not known by this name; `console.public_url` in airoxy.yaml names"
                " the one by which browsers reach it."
            )
        client = request.scope.get("client")
        headers = {"x-forwarded-for": request.get_header("x-forwarded-for") or ""}
        context.address = self._origin.client(client and client[0], headers)
        context.origin = self._origin.of(host, is_tls=request.scheme == "https")
        context.secret = _cookie(request)
        context.visitor = await self._visitor(request)
        if context.visitor is None and not request.path.startswith(PUBLIC):
            raise Unauthorized("Log in first.")
        context.raw = await _body(request)
        context.form = _form(request, context.raw)
        if request.method not in _SAFE:
            self._check_source(request)

    async def process_response(self, _: Any, response: falcon.asgi.Response, *__: Any) -> None:
        for name, value in HEADERS.items():
            if response.get_header(name) is None:
                response.set_header(name, value)
        if response.get_header("cache-control") is None:
            response.set_header("cache-control", "no-store")

    async def _visitor(self, request: falcon.asgi.Request) -> Visitor | None:
        scheme, _, shown = (request.get_header("authorization") or "").partition(" ")
        if request.path.startswith(API) and scheme.lower() == "bearer":
            return await self._threads.run(lambda db: _program(db, shown.strip(), self._clock()))
        secret = request.context.secret
        if secret is None:
            return None
        return await self._threads.run(lambda db: _user(db, secret, self._clock()))

    def _check_source(self, request: falcon.asgi.Request) -> None:
        """Raises Forbidden for a change that another site's page asks for."""
        context = request.context
        visitor: Visitor | None = context.visitor
        if visitor is not None and visitor.session is None:
            return  # a program: no browser adds its token by itself
        if (request.get_header("origin") or "").lower() != context.origin:
            raise Forbidden("This was asked for by a page of another origin.")
        if visitor is None:
            return  # a login, for which there is no session yet
        given = request.get_header("x-csrf-token") or context.form.get("csrf", "")
        if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
            raise Forbidden("This form is of another session; load the page again.")


def _program(db: apsw.Connection, secret: str, now: float) -> Visitor | None:
    token = api_tokens.find_api_token(db, secret, now)
    return None if token is None else Visitor(token.name, token.role, token=token.id)


def _user(db: apsw.Connection, secret: str, now: float) -> Visitor | None:
    found = sessions.find(db, secret, now)
    if found is None:
        return None
    return Visitor(found.user_name, found.role, found.user_id, found.id, secret)


def _cookie(request: falcon.asgi.Request) -> str | None:
    """The session's secret. Over TLS a cookie without the prefix may be anybody's."""
    name = cookie_name(request.context.origin)
    values = request.get_cookie_values(name) or []
    return values[0] if len(values) == 1 else None


def cookie_name(origin: str) -> str:
    return SECURE_COOKIE if origin.startswith("https:") else COOKIE


async def _body(request: falcon.asgi.Request) -> bytes:
    """Raises TooLarge."""
    most = _MOST_DOCUMENT if request.path.startswith(API) else _MOST_FORM
    if (request.content_length or 0) > most:
        raise TooLarge(f"The console takes {most // 1024} KiB at the most.")
    body = b""
    while piece := await request.stream.read(_MOST_FORM):
        body += piece
        if len(body) > most:
            raise TooLarge(f"The console takes {most // 1024} KiB at the most.")
    return body


def _form(request: falcon.asgi.Request, body: bytes) -> dict[str, str]:
    if (request.content_type or "").partition(";")[0] != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise InvalidInput("The form cannot be read.") from None
