"""The small resources beside the API: `/`, `/health`, `/metrics`, `/usage`, `/key/info`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from airoxy import __version__
from airoxy.core.request.headers import Headers
from airoxy.errors import InvalidInput, NotFound
from airoxy.server.http.request import Request
from airoxy.server.http.response import Response
from airoxy.server.metrics.endpoint import MetricsEndpoint
from airoxy.server.metrics.health import Health
from airoxy.server.metrics.key_page import key_page
from airoxy.server.metrics.usage import UsageEndpoint

_JSON: Headers = [(b"content-type", b"application/json")]
_METHODS = ("GET", "HEAD", "OPTIONS")

#: Status, body and headers of the answer to a request.
Answered = tuple[int, bytes, Headers]


def small_endpoints(
    health: Health, metrics: MetricsEndpoint, usage: UsageEndpoint
) -> Callable[[Request, Response], Awaitable[None]]:
    """What answers them. Raises AiroxyErrors."""

    async def root(request: Request) -> Answered:
        if b"text/html" in _accepted(request):  # a browser
            return 200, *key_page()
        return 200, _document({"name": "airoxy", "version": __version__}), _JSON

    async def read_health(_: Request) -> Answered:
        status, document = health.read()
        return status, _document(document), _JSON

    async def read_metrics(request: Request) -> Answered:
        asker = {"headers": request.head.headers, "client": request.client}
        accepted = _accepted(request).decode("latin-1")
        text, content_type = await metrics.read(asker, accepted)
        return 200, text, [(b"content-type", content_type.encode())]

    async def read_usage(request: Request) -> Answered:
        return 200, _document(await usage.read(request)), _JSON

    async def read_info(request: Request) -> Answered:
        return 200, _document(await usage.info(request)), _JSON

    resources = {
        "/": root,
        "/health": read_health,
        "/metrics": read_metrics,
        "/usage": read_usage,
        "/key/info": read_info,
    }

    async def answer(request: Request, response: Response) -> None:
        head = request.head
        resource = resources.get(head.path)
        if resource is None:
            raise NotFound(f"There is nothing at {head.path}; the API is under /v1/.")
        if head.method not in _METHODS:
            raise _not_allowed()
        if head.method == "OPTIONS":
            return _send(response, 200, b"", [(b"allow", ", ".join(_METHODS).encode())])
        # Clients warm their connection up with HEAD /.
        _send(response, *await resource(request))

    return answer


def _accepted(request: Request) -> bytes:
    return b", ".join(value for name, value in request.head.headers if name == b"accept")


def _send(response: Response, status: int, body: bytes, headers: Headers) -> None:
    response.begin(status, [*headers, (b"content-length", b"%d" % len(body))])
    response.write(body, more=False)


def _document(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _not_allowed() -> InvalidInput:
    error = InvalidInput("405 Method Not Allowed")
    error.status, error.headers = 405, (("allow", ", ".join(_METHODS)),)
    return error
