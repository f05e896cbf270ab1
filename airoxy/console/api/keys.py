"""Client keys over the API: the functions that `airoxy api-key` has."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from airoxy.config.defaults import default_limits
from airoxy.console.api.operation import Entity, Operation, fields_of, text_field
from airoxy.console.api.paging import PAGE, page
from airoxy.console.api.values import KEY_FIELDS, key_changes
from airoxy.console.hosts.sight import WHICH_HOST, with_spending
from airoxy.console.visit import JsonReply, Visit
from airoxy.core.keys import new_key
from airoxy.core.names import read_name
from airoxy.errors import InvalidInput
from airoxy.store import keys
from airoxy.store.limits import SETTABLE, set_limits
from airoxy.store.names import find_id
from airoxy.store.usage.past import last_uses_of_keys, spent_by_key
from airoxy.views import json_fields
from airoxy.views import keys as views
from airoxy.views.json_documents import document_of
from airoxy.views.times import rfc3339

_DAY = 86400


def list_all(visit: Visit) -> JsonReply:
    shown, following = page(visit, keys.list_keys(visit.db))
    with with_spending(visit) as (seen, sight):
        kept = seen.db, seen.services.past, visit.today
        rows = views.list_with_use(
            visit.db, shown, visit.now, spent_by_key(*kept), last_uses_of_keys(*kept)
        )
    documents = [views.document(row) for row in rows]
    return JsonReply(documents, following=following, warning=sight.trouble)


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
    return keys.add_key(visit.db, name, secret, visit.now, changes), name, secret


def _set(visit: Visit, number: int, given: Mapping[str, Any]) -> None:
    if changes := key_changes(visit.db, given, visit.moment):
        set_limits(visit.db, number, changes)


def rotate(visit: Visit) -> JsonReply:
    given = fields_of(visit.body or {}, _ROTATE)
    overlap = given.get("overlap_seconds", _DAY)
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= 365 * _DAY:
        raise InvalidInput("overlap_seconds has to be a number from 0 to a year.")
    finish = given.get("finish", False)
    if not isinstance(finish, bool):
        raise InvalidInput("finish has to be true or false.")
    secret = None if finish else new_key(secrets.choice)
    with KEY.unchanged(visit) as number:
        name = keys.find_key(visit.db, number)["name"]
        old = keys.rotate_key(visit.db, number, secret, 0 if finish else overlap, visit.now)
    shown = [{"masked": each.masked, "until": rfc3339(each.until)} for each in old]
    document = {"id": number, "name": name, "key": secret, "old_secrets": shown}
    return JsonReply(document, etag=KEY.etag(visit, number))


KEY = Entity(
    "key",
    "/api/keys",
    json_fields.KEY,
    KEY_FIELDS,
    number=lambda visit: find_id(visit.db, "api_keys", visit.params["id"]),
    row=lambda visit, number: keys.find_key(visit.db, number),
    settable=(*SETTABLE, "is_active", "masked"),
    document=lambda visit, row: views.document(views.with_use(visit.db, row, visit.now)),
    spends=True,
)
_ROTATE = {
    "overlap_seconds": "for how long the old secret still works (a day)",
    "finish": "true to make no new secret, and stop accepting the old ones",
}
OPERATIONS = (
    Operation("GET", "/api/keys", list_all, "The client keys", json_fields.KEY, is_list=True,
              query={**PAGE, **WHICH_HOST}),
    Operation(
        "POST", "/api/keys", add, "Make a key; its secret is shown this once",
        document_of("api-key add"), body=KEY_FIELDS, required=("name",), status=201,
    ),
    *KEY.operations(
        _set, lambda visit, number: keys.remove_key(visit.db, number, visit.now),
        (
            ("enable", lambda visit, number: keys.set_active(visit.db, number, True),
             "Accept a key again"),
            ("disable", lambda visit, number: keys.set_active(visit.db, number, False),
             "Stop accepting a key"),
            ("toggle", lambda visit, number: keys.toggle_key(visit.db, number),
             "Disable a key, or enable it"),
        ),
    ),
    Operation(
        "POST", "/api/keys/{id}/rotate", rotate, "Give a key a new secret, shown this once",
        document_of("api-key rotate"), body=_ROTATE, has_etag=True, takes_etag=True,
    ),
)  # fmt: skip
