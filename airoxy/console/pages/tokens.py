"""The upstream tokens: the pool, one token, and what its forms do."""

from __future__ import annotations

from typing import Any

from airoxy.console.api.tokens import TOKEN, add_token, check_one
from airoxy.console.forms import read_texts, read_token_settings, token_fields
from airoxy.console.hosts.sight import with_spending
from airoxy.console.pages.figures import request_lines
from airoxy.console.pages.one import OnePage
from airoxy.console.routes import page
from airoxy.console.visit import Rendered, Reply, SeeOther, Visit
from airoxy.errors import AiroxyError, InvalidInput
from airoxy.store import tokens
from airoxy.store.usage import requests
from airoxy.upstream.check import REFUSED
from airoxy.views import tokens as views
from airoxy.views.terms import TERMS

_LAST = 20


def show_all(visit: Visit, trouble: str = "", status: int = 200) -> Reply:
    """The pool, with states and quota windows."""
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
        return show_all(visit, error.message, error.status)
    return SeeOther(f"/tokens/{token_id}")


def _one(
    visit: Visit, token_id: int, *, told: str = "", trouble: str = "", status: int = 200
) -> Reply:
    """A token with its settings, its cooldowns and its last requests."""
    with with_spending(visit) as (_, sight):
        row = tokens.find_token(visit.db, token_id, visit.now)
    last = requests.newest(visit.db, limit=_LAST, wanted=requests.Filter(token_id=token_id))
    values = {
        "sight": sight,
        "token": shown(visit, row),
        "fields": token_fields(row),
        "requests": request_lines(visit, last),
        "told": told,
        **ONE.again(visit, token_id, trouble, status),
    }
    return Rendered("token.html", values, status)


def _changes(visit: Visit) -> dict[str, Any]:
    names = {name: text for name, text in read_texts(visit.form).items() if name == "name"}
    return read_token_settings(visit.form, visit.moment) | names


def _check(visit: Visit, token_id: int) -> Reply:
    found = check_one(visit, token_id)
    if found.state == REFUSED:
        raise InvalidInput(f"{found.message}.")
    return _one(visit, token_id, told=f"{found.message[0].upper()}{found.message[1:]}.")


ONE = OnePage(
    "token", "/tokens", TOKEN, _one, _changes,
    save=lambda visit, number, changes: tokens.set_token(visit.db, number, changes),
    remove=lambda visit, number: tokens.remove_token(visit.db, number, visit.now),
    actions={
        "enable": lambda visit, number: tokens.set_active(visit.db, number, True, visit.now),
        "disable": lambda visit, number: tokens.set_active(visit.db, number, False, visit.now),
        "reset": lambda visit, number: tokens.reset_token(visit.db, number, visit.now),
        "check": _check,
    },
)  # fmt: skip

ROUTES = (page("/tokens", show_all, add), ONE.route)
