"""Client keys over the API: the functions that `airoxy api-key` has."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from airoxy.config.defaults import default_limits
from airoxy.console.api.operation import Operation, check_etag, etag_of, fields_of, text_field
from airoxy.console.api.paging import PAGE, page
from airoxy.console.api.values import KEY_FIELDS, key_changes
from airoxy.console.visit import JsonReply, Visit
from airoxy.core.keys import new_key
from airoxy.core.names import read_name
from airoxy.errors import InvalidInput
from airoxy.store import keys
from airoxy.store.limits import SETTABLE, set_limits
from airoxy.store.names import find_id
from airoxy.store.schema import transaction
from airoxy.views import json_fields
from airoxy.views import keys as views
from airoxy.views.json_documents import document_of
from airoxy.views.times import rfc3339

_DAY = 86400


def list_all(visit: Visit) -> JsonReply:
    shown, following = page(visit, keys.list_keys(visit.db))
    rows = [views.with_use(visit.db, key, visit.now) for key in shown]
    return JsonReply([views.document(row) for row in rows], following=following)


def add(visit: Visit) -> JsonReply:
    number, name, secret = add_key(visit, fields_of(visit.body, KEY_FIELDS, ("name",)))
    return JsonReply(
        {"id": number, "name": name, "key": secret}, 201, location=f"/api/keys/{number}"
    )


def add_key(visit: Visit, given: Mapping[str, Any]) -> tuple[int, str, str]:
    """Number, name and secret of a new key. Raises InvalidInput, Conflict."""
    try:
        name = read_name(text_field(given, "name"))
    except InvalidInput as error:
        raise InvalidInput(f"name: {error.message.rstrip('.')}.") from None
    changes = default_limits(visit.config, visit.moment) | key_changes(
        visit.db, {k: v for k, v in given.items() if k != "name"}, visit.moment
    )
    secret = new_key(secrets.choice)
    with transaction(visit.db):
        number = keys.add_key(visit.db, name, secret, visit.now)
        if changes:
            set_limits(visit.db, number, changes)
    return number, name, secret


def show(visit: Visit) -> JsonReply:
    return _reply(visit, key_id(visit))


def change(visit: Visit) -> JsonReply:
    number = key_id(visit)
    given = fields_of(visit.body, KEY_FIELDS)
    with transaction(visit.db):
        check_etag(visit.if_match, etag(visit, number), required=True)
        changes = key_changes(visit.db, given, visit.moment)
        if changes:
            set_limits(visit.db, number, changes)
    return _reply(visit, number)


def remove(visit: Visit) -> JsonReply:
    number = key_id(visit)
    name = keys.find_key(visit.db, number)["name"]
    with transaction(visit.db):
        check_etag(visit.if_match, etag(visit, number))
        keys.remove_key(visit.db, number, visit.now)
    return JsonReply({"id": number, "name": name, "removed": True})


def enable(visit: Visit) -> JsonReply:
    keys.set_active(visit.db, key_id(visit), True)
    return show(visit)


def disable(visit: Visit) -> JsonReply:
    keys.set_active(visit.db, key_id(visit), False)
    return show(visit)


def toggle(visit: Visit) -> JsonReply:
    keys.toggle_key(visit.db, key_id(visit))
    return show(visit)


def rotate(visit: Visit) -> JsonReply:
    given = fields_of(visit.body or {}, _ROTATE)
    overlap = given.get("overlap_seconds", _DAY)
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= 365 * _DAY:
        raise InvalidInput("overlap_seconds has to be a number from 0 to a year.")
    number = key_id(visit)
    name = keys.find_key(visit.db, number)["name"]
    finish = given.get("finish", False)
    if not isinstance(finish, bool):
        raise InvalidInput("finish has to be true or false.")
    secret = None if finish else new_key(secrets.choice)
    old = keys.rotate_key(visit.db, number, secret, 0 if finish else overlap, visit.now)
    shown = [{"masked": each.masked, "until": rfc3339(each.until)} for each in old]
    return JsonReply({"id": number, "name": name, "key": secret, "old_secrets": shown})


def key_id(visit: Visit) -> int:
    """The key that the path names by its id or name. Raises NotFound."""
    return find_id(visit.db, "api_keys", visit.params["id"])


def etag(visit: Visit, number: int) -> str:
    """Names what is set of the key now."""
    key = keys.find_key(visit.db, number)
    return etag_of({name: key.get(name) for name in (*SETTABLE, "is_active", "masked")})


def _reply(visit: Visit, number: int) -> JsonReply:
    row = views.with_use(visit.db, keys.find_key(visit.db, number), visit.now)
    return JsonReply(views.document(row), etag=etag(visit, number))


_ROTATE = {
    "overlap_seconds": "for how long the old secret still works (a day)",
    "finish": "true to make no new secret, and stop accepting the old ones",
}
_ONE = "/api/keys/{id}"
OPERATIONS = (
    Operation("GET", "/api/keys", list_all, "The client keys", json_fields.KEY, is_list=True,
              query=PAGE),
    Operation(
        "POST", "/api/keys", add, "Make a key; its secret is shown this once",
        document_of("api-key add"), body=KEY_FIELDS, required=("name",), status=201,
    ),
    Operation("GET", _ONE, show, "One key", json_fields.KEY, has_etag=True),
    Operation(
        "PATCH", _ONE, change, "Change a key; what is not named stays", json_fields.KEY,
        body=KEY_FIELDS, has_etag=True, needs_etag=True,
    ),
    Operation("DELETE", _ONE, remove, "Remove a key for good", document_of("api-key remove")),
    Operation(
        "POST", f"{_ONE}/enable", enable, "Accept a key again", json_fields.KEY, has_etag=True
    ),
    Operation(
        "POST", f"{_ONE}/disable", disable, "Stop accepting a key", json_fields.KEY, has_etag=True
    ),
    Operation(
        "POST", f"{_ONE}/toggle", toggle, "Disable a key, or enable it", json_fields.KEY,
        has_etag=True,
    ),
    Operation(
        "POST", f"{_ONE}/rotate", rotate, "Give a key a new secret, shown this once",
        document_of("api-key rotate"), body=_ROTATE,
    ),
)  # fmt: skip
