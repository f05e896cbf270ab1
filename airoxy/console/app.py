"""The console as a Falcon application: `create_app` takes everything that it works with."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import apsw
import falcon
import falcon.asgi
from falcon.asgi import Request, Response, SSEvent

from airoxy.console import api, pages
from airoxy.console.guard import API, Guard, cookie_name
from airoxy.console.live.feed import Feed, LiveEvent
from airoxy.console.origin import OwnOrigin
from airoxy.console.routes import Route
from airoxy.console.templates import render, static_files
from airoxy.console.threads import DatabaseThreads
from airoxy.console.visit import (
    Download,
    Handler,
    JsonReply,
    Rendered,
    Reply,
    SeeOther,
    Services,
    Visit,
    Watching,
    YamlText,
)
from airoxy.console.visitor import Visitor
from airoxy.errors import AiroxyError, Forbidden, InvalidInput, NotFound, Unauthorized
from airoxy.store.audit.trail import act_as, take_recorded
from airoxy.store.console.sessions import LIFETIME
from airoxy.views.changes import line

log = logging.getLogger(__name__)

#: That of RFC 9512, and those from before it.
_YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")


class UnsupportedType(AiroxyError):
    """The body is of a kind that nobody reads here."""

    status, kind = 415, "invalid_request_error"


def create_app(
    services: Services, threads: DatabaseThreads, origin: OwnOrigin, feed: Feed
) -> falcon.asgi.App[Request, Response]:
    """Every route behind the guard, and every error as a page or a problem document."""
    app: falcon.asgi.App[Request, Response] = falcon.asgi.App(
        middleware=[Guard(origin, threads, services.clock)]
    )
    app.req_options.keep_blank_qs_values = True
    for route in all_routes():
        app.add_route(route.path, _Resource(route, services, threads, feed))
    app.add_route("/static/{name}", _Static())
    app.add_error_handler(Exception, _on_fault)
    app.add_error_handler(falcon.HTTPError, _on_falcon_error)
    app.add_error_handler(AiroxyError, _on_error)
    return app


def all_routes() -> tuple[Route, ...]:
    """Everything behind the guard but the static files."""
    return (*pages.ROUTES, *api.ROUTES)


class _Resource:
    """A route: its functions run in the threads of the database."""

    def __init__(
        self, route: Route, services: Services, threads: DatabaseThreads, feed: Feed
    ) -> None:
        self._route = route
        self._feed = feed
        self._services = services
        self._threads = threads
        for method, handler in route.handlers.items():
            setattr(self, f"on_{method.lower()}", self._responder(method, handler))
        if "GET" in route.handlers:
            self.on_head = self._responder("GET", route.handlers["GET"])

    def _responder(self, method: str, handler: Handler) -> Any:
        async def respond(request: Request, response: Response, **params: str) -> None:
            visitor: Visitor | None = request.context.visitor
            if self._route.needs_admin(method) and not (visitor and visitor.is_admin):
                raise Forbidden("Only an admin may do that.")
            reply, body = await self._threads.run(
                lambda db: self._answer(db, request, method, handler, params)
            )
            _send(request, response, reply, body)
            if isinstance(reply, Watching) and request.method != "HEAD":
                response.sse = _events(self._feed.open(reply.view))

        return respond

    def _answer(
        self,
        db: apsw.Connection,
        request: Request,
        method: str,
        handler: Handler,
        params: Mapping[str, str],
    ) -> tuple[Reply, bytes]:
        """In a thread: what the function replies, and its bytes."""
        visit = _visit(db, self._services, request, params, takes_yaml=self._route.takes_yaml)
        if visit.who is None or method == "GET":
            reply = handler(visit)
        else:
            act_as(db, visit.who.actor)
            self._services.share(db)
            reply = handler(visit)
            for entry in take_recorded(db):
                log.info("%s", line(entry))
        return reply, _bytes(reply, visit)


def _visit(
    db: apsw.Connection,
    services: Services,
    request: Request,
    params: Mapping[str, str],
    *,
    takes_yaml: bool,
) -> Visit:
    context = request.context
    return Visit(
        db=db,
        services=services,
        who=context.visitor,
        path=request.relative_uri,
        origin=context.origin,
        address=context.address,
        agent=request.get_header("user-agent") or "",
        secret=context.secret,
        params=params,
        query={
            name: value if isinstance(value, str) else value[-1]
            for name, value in request.params.items()
        },
        form=context.form,
        body=_document(request, takes_yaml=takes_yaml) if request.path.startswith(API) else None,
        if_match=request.get_header("if-match"),
        last_event_id=request.get_header("last-event-id"),
    )


def _document(request: Request, *, takes_yaml: bool) -> Any:
    """The body of an API request; None where there is none. Raises InvalidInput and
    UnsupportedType."""
    raw: bytes = request.context.raw
    if not raw.strip():
        return None
    told = (request.content_type or "").partition(";")[0].strip().lower()
    if takes_yaml and told in _YAML_TYPES:
        return YamlText(raw)
    # curl says of any body that it is a form, unless it is told.
    if told and told != "application/json" and not told.endswith("+json"):
        known = "application/json or application/yaml" if takes_yaml else "application/json"
        raise UnsupportedType(f"Say what the body is: Content-Type: {known}.")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not JSON.") from None


def _bytes(reply: Reply, visit: Visit) -> bytes:
    if isinstance(reply, Rendered):
        known = {
            "visitor": visit.who,
            "now": visit.now,
            "zone": visit.zone,
            "path": visit.path,
            "query": visit.query,
        }
        return render(reply.template, {**known, **reply.values}).encode()
    if isinstance(reply, JsonReply):
        return json.dumps(reply.document, ensure_ascii=False).encode() + b"\n"
    return reply.body if isinstance(reply, Download) else b""


async def _events(events: AsyncIterator[LiveEvent]) -> AsyncIterator[SSEvent | None]:
    async for event in events:
        number = None if event.id is None else str(event.id)
        yield SSEvent(text=event.text, event=event.name, event_id=number) if event.name else None


def _send(request: Request, response: Response, reply: Reply, body: bytes) -> None:
    response.data = body
    if isinstance(reply, (JsonReply, Download)) and reply.warning:
        text = " ".join(reply.warning.split())
        response.set_header("airoxy-warning", text.encode("ascii", "replace").decode())
    if isinstance(reply, SeeOther):
        response.status = "303 See Other"
        response.set_header("location", reply.location)
        if reply.secret is not None:
            _set_cookie(request, response, reply.secret)
    elif isinstance(reply, Download):
        response.content_type = reply.content_type
        if reply.etag:
            response.set_header("etag", f'"{reply.etag}"')
        response.set_header("content-disposition", f'attachment; filename="{reply.name}"')
        # A report is a page of its own, with its style in it; nothing of it can do anything.
        response.set_header(
            "content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        )
    elif isinstance(reply, JsonReply):
        response.status = str(reply.status)
        response.content_type = "application/json"
        if reply.etag:
            response.set_header("etag", f'"{reply.etag}"')
        if reply.location:
            response.set_header("location", reply.location)
        if reply.following:
            response.set_header("link", f'<{reply.following}>; rel="next"')
    elif isinstance(reply, Watching):
        response.content_type = "text/event-stream"
        response.set_header("x-accel-buffering", "no")  # nginx would keep it for itself
    else:
        response.status = str(reply.status)
        response.content_type = "text/html; charset=utf-8"


def _set_cookie(request: Request, response: Response, secret: str) -> None:
    """The session's cookie, or with "" none any more."""
    name = cookie_name(request.context.origin)
    response.set_cookie(
        name,
        secret,
        max_age=LIFETIME if secret else 0,
        path="/",
        secure=request.context.origin.startswith("https:"),
        http_only=True,
        same_site="Strict",
    )


class _Static:
    """Style, script and pictures: all there is for a stranger."""

    async def on_get(self, _: Request, response: Response, name: str) -> None:
        found = static_files().get(name)
        if found is None:
            raise NotFound(f"There is no file {name}.")
        response.content_type, response.data = f"{found[0]}; charset=utf-8", found[1]
        response.set_header("cache-control", "public, max-age=31536000, immutable")

    on_head = on_get


async def _on_error(request: Request, response: Response, error: AiroxyError, _: Any) -> None:
    if isinstance(error, Unauthorized) and not request.path.startswith(API):
        target = f"/login?next={quote(request.relative_uri, safe='')}"
        response.status = "303 See Other"
        response.set_header("location", target if request.method == "GET" else "/login")
        return
    _tell(request, response, error.status, error.message)
    for name, value in error.headers:
        response.set_header(name, value)
    if isinstance(error, Unauthorized):
        response.set_header("www-authenticate", "Bearer")


async def _on_falcon_error(
    request: Request, response: Response, error: falcon.HTTPError, _: Any
) -> None:
    status = falcon.http_status_to_code(error.status)
    for name, value in dict(error.headers or {}).items():
        response.set_header(name, value)
    words = {404: "There is nothing here.", 405: "This cannot be done here."}
    _tell(request, response, status, words.get(status, "This request cannot be understood."))


async def _on_fault(request: Request, response: Response, error: Exception, _: Any) -> None:
    log.error("Fault at %s %s", request.method, request.path, exc_info=error)
    _tell(request, response, 500, "A fault in the console; its journal says more.")


def _tell(request: Request, response: Response, status: int, message: str) -> None:
    """An error as a page, or for programs as a problem document (RFC 9457)."""
    response.status = str(status)
    title = falcon.code_to_http_status(status).partition(" ")[2]
    if request.path.startswith(API):
        response.content_type = "application/problem+json"
        problem = {"type": "about:blank", "title": title, "status": status, "detail": message}
        response.data = json.dumps(problem, ensure_ascii=False).encode() + b"\n"
        return
    response.content_type = "text/html; charset=utf-8"
    visitor = getattr(request.context, "visitor", None)
    values = {"title": title, "message": message, "visitor": visitor, "path": request.path}
    response.data = render("error.html", values).encode()
