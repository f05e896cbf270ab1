"""Groups of client keys over the API: the functions that `airoxy group` has."""

from __future__ import annotations

from airoxy.console.api.operation import Operation, check_etag, etag_of, fields_of
from airoxy.console.api.paging import PAGE, page
from airoxy.console.api.values import GROUP_FIELDS, group_changes
from airoxy.console.visit import JsonReply, Visit
from airoxy.store import groups
from airoxy.store.names import find_id
from airoxy.store.schema import transaction
from airoxy.views import groups as views
from airoxy.views import json_fields
from airoxy.views.json_documents import document_of


def list_all(visit: Visit) -> JsonReply:
    shown, following = page(visit, groups.list_groups(visit.db))
    rows = [views.with_use(visit.db, group, visit.now) for group in shown]
    return JsonReply([views.document(row) for row in rows], following=following)


def add(visit: Visit) -> JsonReply:
    given = group_changes(fields_of(visit.body, GROUP_FIELDS, ("name",)), visit.moment)
    name = given.pop("name")
    wanted = {column: value for column, value in given.items() if value is not None}
    number = groups.add_group(visit.db, name, visit.now, wanted)
    return JsonReply({"id": number, "name": name}, 201, location=f"/api/groups/{number}")


def show(visit: Visit) -> JsonReply:
    return _reply(visit, _id(visit))


def change(visit: Visit) -> JsonReply:
    number = _id(visit)
    given = fields_of(visit.body, GROUP_FIELDS)
    with transaction(visit.db):
        check_etag(visit.if_match, _etag(visit, number), required=True)
        if changes := group_changes(given, visit.moment):
            groups.set_group(visit.db, number, changes)
    return _reply(visit, number)


def remove(visit: Visit) -> JsonReply:
    number = _id(visit)
    name = groups.find_group(visit.db, number)["name"]
    with transaction(visit.db):
        check_etag(visit.if_match, _etag(visit, number))
        groups.remove_group(visit.db, number, visit.now)
    return JsonReply({"id": number, "name": name, "removed": True})


def _id(visit: Visit) -> int:
    """The group that the path names by its id or name. Raises NotFound."""
    return find_id(visit.db, "groups", visit.params["id"])


def _etag(visit: Visit, number: int) -> str:
    """Names what is set of the group now."""
    group = groups.find_group(visit.db, number)
    return etag_of({name: group[name] for name in groups.SETTABLE})


def _reply(visit: Visit, number: int) -> JsonReply:
    row = views.with_use(visit.db, groups.find_group(visit.db, number), visit.now)
    return JsonReply(views.document(row), etag=_etag(visit, number))


_ONE = "/api/groups/{id}"
OPERATIONS = (
    Operation("GET", "/api/groups", list_all, "The groups of client keys", json_fields.GROUP,
              is_list=True, query=PAGE),
    Operation(
        "POST", "/api/groups", add, "Make a group", document_of("group add"), body=GROUP_FIELDS,
        required=("name",), status=201,
    ),
    Operation("GET", _ONE, show, "One group", json_fields.GROUP, has_etag=True),
    Operation(
        "PATCH", _ONE, change, "Change a group; what is not named stays", json_fields.GROUP,
        body=GROUP_FIELDS, has_etag=True, needs_etag=True,
    ),
    Operation("DELETE", _ONE, remove, "Remove a group for good; its keys stay",
              document_of("group remove")),
)  # fmt: skip
