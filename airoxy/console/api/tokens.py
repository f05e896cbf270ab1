"""Upstream tokens over the API: the functions that `airoxy token` has. No secret comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airoxy.console.api.operation import Entity, Operation, check_etag, fields_of, text_field
from airoxy.console.api.paging import PAGE, page
from airoxy.console.api.values import TOKEN_FIELDS, token_changes
from airoxy.console.hosts.sight import WHICH_HOST, with_spending
from airoxy.console.visit import JsonReply, Visit
from airoxy.core.keys import check_refresh_token, token_type
from airoxy.core.names import read_name
from airoxy.core.pool import Token
from airoxy.errors import AiroxyError, Conflict, InvalidInput
from airoxy.jobs.refresh import refresh_token
from airoxy.store import leases, tokens
from airoxy.store.names import find_id
from airoxy.upstream.check import REFUSED, UNKNOWN, TokenCheck, check_token
from airoxy.views import json_fields
from airoxy.views.json_documents import document_of
from airoxy.views.tokens import document

#: How long Anthropic's OAuth access tokens live when they are new (seconds).
_LIFETIME = 28800
_ADD = {
    "name": "what to call it",
    "token": "the access token",
    "refresh_token": "the refresh token of an OAuth token",
    "expires_in": "how long an OAuth token is still valid, in seconds (8 hours)",
    "check": "false to add it without asking Anthropic whether it is good",
}


def list_all(visit: Visit) -> JsonReply:
    with with_spending(visit) as (_, sight):
        shown, following = page(visit, tokens.list_tokens(visit.db, visit.now))
    documents = [document(row) for row in shown]
    return JsonReply(documents, following=following, warning=sight.trouble)


def add(visit: Visit) -> JsonReply:
    given = fields_of(visit.body, _ADD, ("name", "token"))
    number, name, kind = add_token(visit, given)
    return JsonReply(
        {"id": number, "name": name, "type": kind}, 201, location=f"/api/tokens/{number}"
    )


def add_token(visit: Visit, given: Mapping[str, Any]) -> tuple[int, str, str]:
    """Number, name and type of a new token. Raises AiroxyError for one that Anthropic refuses."""
    name, secret = read_name(text_field(given, "name")), text_field(given, "token").strip()
    refresh = text_field({"r": given.get("refresh_token") or ""}, "r").strip()
    kind = token_type(secret)
    if kind == "oauth":
        check_refresh_token(refresh)
    elif refresh:
        raise InvalidInput("An API key has no refresh token; leave that out.")
    lifetime = given.get("expires_in") or _LIFETIME
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 0 < lifetime < 10**9:
        raise InvalidInput("expires_in has to be a number of seconds.")
    tokens.refuse_known(visit.db, name, secret, refresh or None)
    if given.get("check", True):
        found = check_token(visit.config.upstream, Token(0, name, kind, secret, None, 0))
        if found.state == REFUSED:
            raise InvalidInput(f"{found.message}. It is not added.")
    expires_at = int(visit.now) + lifetime if kind == "oauth" else None
    number = tokens.add_token(
        visit.db, name=name, type=kind, token=secret, refresh_token=refresh or None,
        expires_at=expires_at, now=visit.now,
    )  # fmt: skip
    return number, name, kind


def _set(visit: Visit, number: int, given: Mapping[str, Any]) -> None:
    if changes := token_changes(given, visit.moment):
        tokens.set_token(visit.db, number, changes)


def refresh(visit: Visit) -> JsonReply:
    """An OAuth token gets a new access token; others are left as they are."""
    number = TOKEN.number(visit)
    check_etag(visit.if_match, TOKEN.etag(visit, number))
    row = tokens.find_token(visit.db, number, visit.now)
    states = leases.refreshing(visit.db, number)
    if row["type"] != "oauth" or not states:
        raise Conflict(
            "It has no refresh token that could be read."
            if row["type"] == "oauth"
            else "An API key does not expire."
        )
    found = refresh_token(
        visit.db, number, states[0].token, visit.config.oauth, visit.services.clock
    )
    return JsonReply(
        {"id": number, "name": row["name"], "renewed": found.renewed, "message": found.message}
    )


def check(visit: Visit) -> JsonReply:
    number = TOKEN.number(visit)
    found = check_one(visit, number)
    name = tokens.find_token(visit.db, number, visit.now)["name"]
    return JsonReply(
        {
            "id": number, "name": name, "state": found.state, "message": found.message,
            "organization": found.organization,
        }
    )  # fmt: skip


def check_one(visit: Visit, number: int) -> TokenCheck:
    """What Anthropic says of it; nothing is changed by that."""
    try:
        token = tokens.load_token(visit.db, number)
    except AiroxyError:
        token = None
    if token is None:
        return TokenCheck(UNKNOWN, "it cannot be decrypted")
    return check_token(visit.config.upstream, token)


_TOKEN = json_fields.TOKEN
TOKEN = Entity(
    "token",
    "/api/tokens",
    _TOKEN,
    TOKEN_FIELDS,
    number=lambda visit: find_id(visit.db, "tokens", visit.params["id"]),
    row=lambda visit, number: tokens.find_token(visit.db, number, visit.now),
    settable=(*TOKEN_FIELDS, "is_active"),
    document=lambda _, row: document(row),
    spends=True,
)

OPERATIONS = (
    Operation("GET", "/api/tokens", list_all, "The upstream tokens, masked", _TOKEN, is_list=True,
              query={**PAGE, **WHICH_HOST}),
    Operation(
        "POST", "/api/tokens", add, "Add a token to the pool", document_of("token add"),
        body=_ADD, required=("name", "token"), status=201,
    ),
    *TOKEN.operations(
        _set, lambda visit, number: tokens.remove_token(visit.db, number, visit.now),
        (
            ("enable", lambda visit, number: tokens.set_active(visit.db, number, True, visit.now),
             "Use a token again"),
            ("disable", lambda visit, number: tokens.set_active(visit.db, number, False, visit.now),
             "Stop using a token"),
            ("toggle", lambda visit, number: tokens.toggle_token(visit.db, number, visit.now),
             "Disable a token, or enable it"),
            ("reset", lambda visit, number: tokens.reset_token(visit.db, number, visit.now),
             "Clear a token's cooldowns, deactivation and failures"),
        ),
    ),
    Operation(
        "POST", "/api/tokens/{id}/refresh", refresh, "Renew an OAuth token now",
        document_of("token refresh"), takes_etag=True,
    ),
    Operation(
        "POST", "/api/tokens/{id}/check", check, "Ask Anthropic whether a token is good",
        document_of("token check"),
    ),
)  # fmt: skip
