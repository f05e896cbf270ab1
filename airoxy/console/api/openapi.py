"""The OpenAPI 3.1 document, made from the table of operations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airoxy import __version__
from airoxy.console.api.operation import Operation

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_PROBLEMS = {
    "400": "What was sent cannot be meant",
    "401": "No API token, or none that works",
    "403": "Not with this role, or not from there",
    "404": "There is no such thing",
    "405": "Not with this method",
    "409": "It is there already",
    "413": "Too large",
    "503": "The database cannot be used now",
}
_OF_BODIES = {"415": "The body is no JSON, by its Content-Type"}
_OF_ETAGS = {"412": "It was changed meanwhile"}
_OF_NEEDED_ETAGS = {"428": "If-Match is missing"}


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "airoxy admin API",
            "version": __version__,
            "description": "What the command line can do. Times are RFC 3339, money is in"
            " billionths of a dollar.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
        },
    }


def _operation(each: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": each.told or each.summary,
        "content": {each.content_type: {"schema": _schema(each)}},
    }
    answer["content"] |= {other: {} for other in each.other_types}
    if each.has_etag:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    problems = _PROBLEMS | (_OF_BODIES if each.method != "GET" else {})
    problems |= _OF_ETAGS if each.takes_etag or each.needs_etag else {}
    problems |= _OF_NEEDED_ETAGS if each.needs_etag else {}
    found: dict[str, Any] = {
        "summary": each.summary,
        "operationId": re.sub(r"\W+", "_", f"{each.method.lower()}{each.path}").strip("_"),
        "parameters": list(_parameters(each)),
        "responses": {
            str(each.status): answer,
            **{status: _problem(text) for status, text in problems.items()},
        },
    }
    if each.body is not None:
        found["requestBody"] = {
            "required": bool(each.required) or each.method == "PATCH",
            "content": {"application/json": {"schema": _object(each.body, each.required)}},
        }
        if each.takes_yaml:
            found["requestBody"]["content"]["application/yaml"] = {"schema": {"type": "string"}}
    return found


def _parameters(each: Operation) -> list[dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    found = [
        {"name": name, "in": "path", "required": True, **text}
        for name in re.findall(r"{(\w+)}", each.path)
    ]
    found += [
        {"name": name, "in": "query", "description": what, **text}
        for name, what in each.query.items()
    ]
    if each.takes_etag or each.needs_etag:
        found.append({"name": "If-Match", "in": "header", "required": each.needs_etag, **text})
    return found


def _schema(each: Operation) -> dict[str, Any]:
    document = each.document.fields if each.document else {}
    if each.content_type == "text/event-stream":
        return {"type": "string"}
    item = _object(document, ())
    return {"type": "array", "items": item} if each.is_list else item


def _object(fields: Mapping[str, str], required: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object"}
    if fields:
        found["properties"] = {name: {"description": what} for name, what in fields.items()}
    if required:
        found["required"] = list(required)
    return found


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}
