"""The admin API: what the command line can do, for programs."""

from __future__ import annotations

from airoxy.console.api import declared, groups, keys, live, records, system, tokens, usage, users
from airoxy.console.api.openapi import openapi
from airoxy.console.api.operation import Operation
from airoxy.console.routes import Route
from airoxy.console.visit import JsonReply, Visit


def describe(_: Visit) -> JsonReply:
    """The OpenAPI document."""
    return JsonReply(openapi(OPERATIONS))


OPERATIONS: tuple[Operation, ...] = (
    *keys.OPERATIONS,
    *tokens.OPERATIONS,
    *groups.OPERATIONS,
    *declared.OPERATIONS,
    *usage.OPERATIONS,
    *records.OPERATIONS,
    *users.OPERATIONS,
    *live.OPERATIONS,
    *system.OPERATIONS,
    Operation("GET", "/api/openapi.json", describe, "This description"),
)
ROUTES = tuple(
    Route(
        path,
        {each.method: each.handler for each in OPERATIONS if each.path == path},
        for_admins=frozenset(
            each.method for each in OPERATIONS if each.path == path and each.for_admins
        ),
        takes_yaml=any(each.takes_yaml for each in OPERATIONS if each.path == path),
    )
    for path in dict.fromkeys(each.path for each in OPERATIONS)
)
