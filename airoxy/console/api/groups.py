"""Groups of client keys over the API: the functions that `airoxy group` has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.console.api.operation import Entity, Operation, fields_of
from airoxy.console.api.paging import PAGE, page
from airoxy.console.api.values import GROUP_FIELDS, group_changes
from airoxy.console.hosts.sight import WHICH_HOST, with_spending
from airoxy.console.visit import JsonReply, Visit
from airoxy.store import groups
from airoxy.store.names import find_id
from airoxy.views import groups as views
from airoxy.views import json_fields
from airoxy.views.json_documents import document_of


def list_all(visit: Visit) -> JsonReply:
    shown, following = page(visit, groups.list_groups(visit.db))
    with with_spending(visit) as (_, sight):
        rows = [views.with_use(visit.db, group, visit.now) for group in shown]
    documents = [views.document(row) for row in rows]
    return JsonReply(documents, following=following, warning=sight.trouble)


def add(visit: Visit) -> JsonReply:
    given = group_changes(fields_of(visit.body, GROUP_FIELDS, ("name",)), visit.moment)
    name = given.pop("name")
    wanted = {column: value for column, value in given.items() if value is not None}
    number = groups.add_group(visit.db, name, visit.now, wanted)
    return JsonReply({"id": number, "name": name}, 201, location=f"/api/groups/{number}")


def _set(visit: Visit, number: int, given: Mapping[str, Any]) -> None:
    if changes := group_changes(given, visit.moment):
        groups.set_group(visit.db, number, changes)


GROUP = Entity(
    "group",
    "/api/groups",
    json_fields.GROUP,
    GROUP_FIELDS,
    number=lambda visit: find_id(visit.db, "groups", visit.params["id"]),
    row=lambda visit, number: groups.find_group(visit.db, number),
    settable=groups.SETTABLE,
    document=lambda visit, row: views.document(views.with_use(visit.db, row, visit.now)),
    spends=True,
)
OPERATIONS = (
    Operation("GET", "/api/groups", list_all, "The groups of client keys", json_fields.GROUP,
              is_list=True, query={**PAGE, **WHICH_HOST}),
    Operation(
        "POST", "/api/groups", add, "Make a group", document_of("group add"), body=GROUP_FIELDS,
        required=("name",), status=201,
    ),
    *GROUP.operations(
        _set, lambda visit, number: groups.remove_group(visit.db, number, visit.now),
        removed="Remove a group for good; its keys stay",
    ),
)  # fmt: skip
