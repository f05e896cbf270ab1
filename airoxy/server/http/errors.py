"""Errors as bytes: Anthropic's error document, and the answers that carry it."""

from __future__ import annotations

import json
from typing import Protocol

from airoxy.core.request.browsers import ALLOWED
from airoxy.core.request.headers import Headers
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.server.http.head import RequestHead


class Answerable(Protocol):
    """A response that has not begun."""

    def begin(self, status: int, headers: Headers) -> None: ...
    def write(self, piece: bytes, *, more: bool) -> None: ...


def error_document(error: AiroxyError) -> bytes:
    """Anthropic's error shape."""
    shown: dict[str, object] = {"type": error.kind, "message": error.message}
    if error.details:
        shown["details"] = dict(error.details)
    document = {"type": "error", "error": shown, "request_id": error.request_id}
    return json.dumps(document).encode()


def error_headers(error: AiroxyError) -> list[tuple[str, str]]:
    """What belongs to the document, beside its length."""
    return [
        ("content-type", "application/json"),
        ("request-id", error.request_id),
        *error.headers,
    ]


def answer_error(response: Answerable, error: AiroxyError) -> None:
    """Answer with `error` on a connection that goes on."""
    body = error_document(error)
    headers = [(name.encode(), value.encode()) for name, value in error_headers(error)]
    response.begin(error.status, [*headers, (b"content-length", b"%d" % len(body))])
    response.write(body, more=False)


def last_answer(error: AiroxyError, head: RequestHead | None = None) -> bytes:
    """The whole answer to something that is no request, or no longer one; the connection's last."""
    body = error_document(error)
    headers = [
        *error_headers(error),
        ("content-length", str(len(body))),
        ("connection", "close"),
        *((name.decode(), value.decode()) for name, value in ALLOWED if head and head.for_page),
    ]
    lines = [f"HTTP/1.1 {error.status} ", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode() + body


def body_timed_out() -> AiroxyError:
    """What a client is told that falls silent within a body."""
    error = InvalidInput("The request's body did not arrive in time.")
    error.status = 408
    return error
