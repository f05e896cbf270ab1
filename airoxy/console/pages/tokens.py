"""The upstream tokens: the pool, one token, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airoxy.console.api.tokens import TOKEN, add_token, check_one
from airoxy.console.forms import (
    check_state,
    form_again,
    number_of,
    read_texts,
    read_token_settings,
    token_fields,
)
from airoxy.console.hosts.sight import with_spending
from airoxy.console.pages.figures import request_lines
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import tokens
from airoxy.store.schema import transaction
from airoxy.store.usage import requests
from airoxy.upstream.check import REFUSED
from airoxy.views import tokens as views
from airoxy.views.terms import TERMS

_LAST = 20


def show_all(visit: Visit) -> Reply:
    """The pool, with states and quota windows."""
    return _list(visit)


def _list(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
    with with_spending(visit) as (_, sight):
        rows = [shown(visit, row) for row in tokens.list_tokens(visit.db, visit.now)]
    kept = {name: visit.form.get(name, "") for name in ("name", "note")}
    values = {"tokens": rows, "terms": TERMS, "typed": kept, "trouble": trouble, "sight": sight}
    return Rendered("tokens.html", values, status)


def shown(visit: Visit, row: dict[str, Any]) -> dict[str, Any]:
    """A token with its state, how it is to be coloured, and its quota windows by name."""
    state = views.state(row, visit.now)
    kind = "ok" if state == "ready" else "warn" if state.startswith(("cooling", "spent")) else "bad"
    windows = {each["window"]: each for each in row["quota"]}
    used = views.last_use(row)
    return {**row, "state": state, "kind": kind, "windows": windows, "last_use": used}


def add(visit: Visit) -> Reply:
    """A new token, if Anthropic takes it, or without asking."""
    form = visit.form
    given = {name: form.get(name, "") for name in ("name", "token", "refresh_token")}
    try:
        token_id, _, _ = add_token(visit, {**given, "check": "unchecked" not in form})
    except AiroxyError as error:
        return _list(visit, error.message, error.status)
    return SeeOther(f"/tokens/{token_id}")


def show_one(visit: Visit) -> Reply:
    """A token with its settings, its cooldowns and its last requests."""
    return _one(visit, number_of(visit.params["number"], "token"))


def _one(
    visit: Visit, token_id: int, *, told: str = "", trouble: str = "", status: int = 200
) -> Reply:
    with with_spending(visit) as (_, sight):
        row = tokens.find_token(visit.db, token_id, visit.now)
    last = requests.newest(visit.db, limit=_LAST, wanted=requests.Filter(token_id=token_id))
    values = {
        "sight": sight,
        "token": shown(visit, row),
        "fields": token_fields(row),
        "requests": request_lines(visit, last),
        "told": told,
        "trouble": trouble,
        **form_again(visit, TOKEN.etag(visit, token_id), trouble, status),
    }
    return Rendered("token.html", values, status)


def change(visit: Visit) -> Reply:
    """What the forms on a token's page do, by their field `action`."""
    token_id = number_of(visit.params["number"], "token")
    action = _ACTIONS.get(visit.form.get("action", ""))
    try:
        if action is None:
            raise InvalidInput("This form is not known; load the page again.")
        return action(visit, token_id) or SeeOther(f"/tokens/{token_id}")
    except AiroxyError as error:
        tokens.find_token(visit.db, token_id, visit.now)  # one that is gone is told as such
        return _one(visit, token_id, trouble=error.message, status=error.status)


def _set(visit: Visit, token_id: int) -> None:
    changes = read_token_settings(visit.form, visit.moment)
    changes |= {name: text for name, text in read_texts(visit.form).items() if name == "name"}
    with transaction(visit.db):
        check_state(visit.form, TOKEN.etag(visit, token_id))
        tokens.set_token(visit.db, token_id, changes)


def _enable(visit: Visit, token_id: int) -> None:
    tokens.set_active(visit.db, token_id, True, visit.now)


def _disable(visit: Visit, token_id: int) -> None:
    tokens.set_active(visit.db, token_id, False, visit.now)


def _reset(visit: Visit, token_id: int) -> None:
    tokens.reset_token(visit.db, token_id, visit.now)


def _check(visit: Visit, token_id: int) -> Reply:
    found = check_one(visit, token_id)
    if found.state == REFUSED:
        raise InvalidInput(f"{found.message}.")
    return _one(visit, token_id, told=f"{found.message[0].upper()}{found.message[1:]}.")


def _remove(visit: Visit, token_id: int) -> Reply:
    row = tokens.find_token(visit.db, token_id, visit.now)
    if visit.form.get("typed", "").strip() != row["name"]:
        raise InvalidInput("Type the name of the token to remove it for good.")
    tokens.remove_token(visit.db, token_id, visit.now)
    return SeeOther("/tokens")


_ACTIONS: dict[str, Callable[[Visit, int], Reply | None]] = {
    "set": _set, "enable": _enable, "disable": _disable, "reset": _reset, "check": _check,
    "remove": _remove,
}  # fmt: skip

ROUTES = (page("/tokens", show_all, add), page("/tokens/{number}", show_one, change))
