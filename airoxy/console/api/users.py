"""Who may use the console, over the API: the functions that `airoxy console` has; for admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.console.api.operation import Entity, Operation, fields_of, text_field
from airoxy.console.api.paging import PAGE, page
from airoxy.console.visit import JsonReply, Visit
from airoxy.core.names import read_name
from airoxy.errors import Conflict, InvalidInput, NotFound
from airoxy.store.console import api_tokens, sessions, users
from airoxy.store.schema import transaction
from airoxy.views.json_documents import document_of
from airoxy.views.times import with_times

_DAY = 86_400
_MOST_DAYS = 10 * 365


def list_users(visit: Visit) -> JsonReply:
    rows, following = page(visit, users.list_users(visit.db))
    return JsonReply([_user_document(row) for row in rows], following=following)


def add_user(visit: Visit) -> JsonReply:
    given = fields_of(visit.body, _USER, ("name",))
    name, role = _name(given), _role(given)
    with transaction(visit.db):
        number = users.add_user(visit.db, name, role, visit.now)
        secret = users.new_link(visit.db, number, visit.now)
    link = f"{visit.origin}/link/{secret}"
    return JsonReply({"id": number, "name": name, "link": link}, 201)


def _set_user(visit: Visit, number: int, given: Mapping[str, Any]) -> None:
    if given.get("has_passphrase", False) is not False:
        raise InvalidInput("has_passphrase can be false only: a passphrase is set by its user.")
    if "role" in given:
        _keep_an_admin(visit, number, _role(given))
        users.set_role(visit.db, number, _role(given))
    if "has_passphrase" in given:
        users.set_passphrase(visit.db, number, None)


def _remove_user(visit: Visit, number: int) -> None:
    _keep_an_admin(visit, number, users.VIEWER)
    users.remove_user(visit.db, number, visit.now)


def link_user(visit: Visit) -> JsonReply:
    with USER.unchanged(visit) as number:
        secret = users.new_link(visit.db, number, visit.now)
    link = f"{visit.origin}/link/{secret}"
    return JsonReply({"id": number, "name": visit.params["name"], "link": link})


def log_out_user(visit: Visit) -> JsonReply:
    with USER.unchanged(visit) as number:
        sessions.end_others(visit.db, number, None)
    return JsonReply({"id": number, "name": visit.params["name"], "logged_out": True})


def _keep_an_admin(visit: Visit, number: int, role: str) -> None:
    """A user who is logged in does not lock everybody out, which the command could mend only."""
    if visit.visitor.user == number and role != users.ADMIN:
        raise Conflict("You are this user; another admin can change that.")


def _user_document(row: Mapping[str, Any]) -> dict[str, Any]:
    return with_times(row, ("created_at", "last_login_at"))


def _row(visit: Visit, number: int) -> dict[str, Any]:
    for row in users.list_users(visit.db):
        if row["id"] == number:
            return row
    raise NotFound("This user was removed meanwhile.")


_CHANGE = {
    "role": "viewer or admin",
    "has_passphrase": "false to take the passphrase away; links go on",
}
_USERS, _TOKENS = "/api/console/users", "/api/console/tokens"
_DOCUMENT, _REMOVED = document_of("console user list"), document_of("console user remove")
USER = Entity(
    "user",
    _USERS,
    _DOCUMENT,
    _CHANGE,
    number=lambda visit: users.user_id(visit.db, visit.params["name"]),
    row=_row,
    settable=("name", "role", "has_passphrase"),
    document=lambda _, row: _user_document(row),
)


def list_tokens(visit: Visit) -> JsonReply:
    rows, following = page(visit, api_tokens.list_api_tokens(visit.db))
    shown = [with_times(row, ("created_at", "expires_at")) for row in rows]
    return JsonReply(shown, following=following)


def add_token(visit: Visit) -> JsonReply:
    given = fields_of(visit.body, _TOKEN, ("name",))
    name, role, days = _name(given), _role(given), given.get("expires_in_days", 90)
    if isinstance(days, bool) or not isinstance(days, int) or not 0 < days <= _MOST_DAYS:
        raise InvalidInput(f"expires_in_days has to be a number from 1 to {_MOST_DAYS}.")
    ends = int(visit.now) + days * _DAY
    number, secret = api_tokens.add_api_token(visit.db, name, role, ends, visit.now)
    return JsonReply({"id": number, "name": name, "token": secret}, 201)


def remove_token(visit: Visit) -> JsonReply:
    name = visit.params["name"]
    number = api_tokens.remove_api_token(visit.db, name, visit.now)
    return JsonReply({"id": number, "name": name, "removed": True})


def _name(given: Mapping[str, Any]) -> str:
    try:
        return read_name(text_field(given, "name").strip())
    except InvalidInput as error:
        raise InvalidInput(f"name: {error.message.rstrip('.')}.") from None


def _role(given: Mapping[str, Any]) -> str:
    role = given.get("role", users.VIEWER)
    if role not in users.ROLES:
        raise InvalidInput(f"role is one of {', '.join(users.ROLES)}.")
    return str(role)


_ROLE = {"role": "viewer, who looks, or admin, who changes things as well (viewer)"}
_USER = {"name": "the user's name", **_ROLE}
_TOKEN = {
    "name": "the program's name",
    **_ROLE,
    "expires_in_days": "for how many days it works (90)",
}
_ONE = f"{_USERS}/{{name}}"
OPERATIONS = (
    Operation("GET", _USERS, list_users, "The users of the console", _DOCUMENT, is_list=True,
              query=PAGE, for_admins=True),
    Operation("POST", _USERS, add_user, "Add a user; the link logs in once",
              document_of("console user add"), body=_USER, required=("name",), status=201),
    Operation("GET", _ONE, USER.show, "One user", _DOCUMENT, has_etag=True, for_admins=True),
    Operation("PATCH", _ONE, USER.changed_by(_set_user), "Change what a user may do",
              _DOCUMENT, body=_CHANGE, has_etag=True, needs_etag=True),
    Operation("DELETE", _ONE, USER.removed_by(_remove_user), "Remove a user for good", _REMOVED,
              takes_etag=True),
    Operation("POST", f"{_ONE}/link", link_user, "Make a new login link for a user",
              document_of("console user link"), takes_etag=True),
    Operation("POST", f"{_ONE}/logout", log_out_user, "End all sessions of a user",
              document_of("console user logout"), takes_etag=True),
    Operation("GET", _TOKENS, list_tokens, "The tokens of programs, masked",
              document_of("console token list"), is_list=True, query=PAGE, for_admins=True),
    Operation("POST", _TOKENS, add_token, "Make a token for a program; it is shown this once",
              document_of("console token add"), body=_TOKEN, required=("name",), status=201),
    Operation("DELETE", f"{_TOKENS}/{{name}}", remove_token, "Remove a token for good", _REMOVED),
)  # fmt: skip
