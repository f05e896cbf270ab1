"""The small endpoints beside the API: `/`, `/health`, `/metrics`.

The only module that knows Falcon, which runs on an ASGI adapter for our connections. Nothing here
is fast; it is for small answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi

from airoxy import __version__
from airoxy.errors import AiroxyError, NotFound
from airoxy.server.http.errors import error_document, error_headers
from airoxy.server.http.request import ClientLeft, Request
from airoxy.server.http.response import Response
from airoxy.server.metrics.endpoint import MetricsEndpoint
from airoxy.server.metrics.health import Health

Message = dict[str, Any]
ASGI = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


def small_endpoints(
    health: Health,
    metrics: MetricsEndpoint,
    report: Callable[[Exception], AiroxyError],
) -> Callable[[Request, Response], Awaitable[None]]:
    """What answers them; `report` says of an unforeseen exception what the client is told."""
    app = falcon.asgi.App()
    app.add_route("/", _Root())
    app.add_route("/health", _Health(health))
    app.add_route("/metrics", _Metrics(metrics))
    app.add_sink(_not_found)

    async def on_unforeseen(
        _: falcon.asgi.Request, response: falcon.asgi.Response, error: Exception, __: Any
    ) -> None:
        _render(response, report(error))

    app.add_error_handler(AiroxyError, _on_error)
    app.add_error_handler(falcon.HTTPError, _on_falcon_error)
    app.add_error_handler(Exception, on_unforeseen)
    return _through_asgi(app)


class _Root:
    """Clients warm their connection up with HEAD /."""

    async def on_get(self, _: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        response.media = {"name": "airoxy", "version": __version__}

    on_head = on_get


class _Health:
    def __init__(self, health: Health) -> None:
        self._health = health

    async def on_get(self, _: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        status, response.media = self._health.read()
        response.status = str(status)

    on_head = on_get


class _Metrics:
    def __init__(self, metrics: MetricsEndpoint) -> None:
        self._metrics = metrics

    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Raises Forbidden."""
        accept = request.get_header("accept") or ""
        response.data, response.content_type = await self._metrics.read(request.scope, accept)


async def _not_found(
    req: falcon.asgi.Request, resp: falcon.asgi.Response | None, **kwargs: Any
) -> None:
    del resp, kwargs
    raise NotFound(f"There is nothing at {req.path}; the API is under /v1/.")


async def _on_error(
    _: falcon.asgi.Request, response: falcon.asgi.Response, error: AiroxyError, __: Any
) -> None:
    _render(response, error)


async def _on_falcon_error(
    _: falcon.asgi.Request, response: falcon.asgi.Response, error: falcon.HTTPError, __: Any
) -> None:
    ours = AiroxyError(error.title or "This cannot be answered.")
    ours.status, ours.kind = falcon.http_status_to_code(error.status), "invalid_request_error"
    ours.headers = tuple(dict(error.headers or {}).items())
    _render(response, ours)


def _render(response: falcon.asgi.Response, error: AiroxyError) -> None:
    response.data = error_document(error)
    response.status = str(error.status)
    response.set_headers(error_headers(error))


def _through_asgi(app: ASGI) -> Callable[[Request, Response], Awaitable[None]]:
    """`app` as what answers a request. Bodies are collected, answers may stream."""

    async def answer(request: Request, response: Response) -> None:
        heard = False

        async def receive() -> Message:
            nonlocal heard
            try:
                if not heard:
                    heard = True
                    return {"type": "http.request", "body": await request.body()}
                await request.until_left()
            except ClientLeft:
                pass
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await response.drain()
            if request.left:
                return
            if message["type"] == "http.response.start":
                response.begin(message["status"], list(message.get("headers", ())))
            else:
                response.write(message.get("body", b""), more=message.get("more_body", False))

        # Falcon may ask for the task that it runs in, and the connection's runner is none.
        await asyncio.ensure_future(app(_scope(request), receive, send))

    return answer


def _scope(request: Request) -> Message:
    head = request.head
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.0" if head.is_http_1_0 else "1.1",
        "method": head.method,
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "server": None,
        "client": request.client,
    }
